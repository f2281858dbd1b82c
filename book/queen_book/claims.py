"""The numbers that a chapter's sentences rest on, held against bounds.

A sentence such as "it costs him less than five points" rests on a number that a small training
reached. Another seed, thread count or processor moves that number. So a bound is no guess: the
number is recorded over seeds and thread counts (``make seeds``), and the bound lies outside of
what was recorded by the recorded range once more.

Laws and counters are no claims. They hold in every run, and a chapter asserts them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from queen_book.chapter import recorded

PROFILE = "cpu"  # the prose speaks of this profile; the other trainings are too small, or too large
RECORD = "seeds.jsonl"  # in book/results


class ClaimFailed(AssertionError):
    """A claim does not hold, in a run that treats this as an error: the build."""


class Claims:
    """Hold numbers of one chapter's run against the bounds that its prose states.

    A claim that fails prints one sentence and the page goes on: it is a finding about this run.
    With ``QUEEN_CLAIMS=strict`` (the build sets it) it raises `ClaimFailed`. With
    ``QUEEN_CLAIMS_TO`` every number is also written to that file (``make seeds`` reads it).

    Arguments: `chapter`, the notebook's name without its ending; `profile`, claims are about the
    profile ``cpu``, in any other nothing is checked.

    >>> claim = Claims("05_queen_end_to_end", "cpu")
    >>> claim("what the default costs a fresh client", [0.001, 0.004], below=0.02)
    """

    def __init__(self, chapter: str, profile: str):
        self.chapter, self.checked = chapter, profile == PROFILE

    def __call__(self, name: str, value, *, above: float | None = None, below: float | None = None):
        """Hold every number in `value` strictly between `above` and `below`.

        Arguments: `name`, what was measured, in words, the same again and again in a loop;
        `value`, a number, a tensor, or anything `numpy.asarray` takes, NaN fails; `above` and
        `below`, the bounds in the units of `value`, at least one. Errors: `ValueError` for no
        bound or no number; `ClaimFailed` if it does not hold and ``QUEEN_CLAIMS`` is ``strict``.

        >>> Claims("05_queen_end_to_end", "smoke")("accuracy", 0.1, above=0.9)
        """
        if above is None and below is None:
            raise ValueError(f"claim {name!r}: expected a bound, above= or below=")
        if not self.checked:
            return
        low, high = extremes(value)
        if low is None or high is None:
            raise ValueError(f"claim {name!r}: expected at least one number, got none")
        # NaN compares as false with everything, so it fails.
        holds = (above is None or low > above) and (below is None or high < below)
        if path := os.environ.get("QUEEN_CLAIMS_TO"):
            line = {"claim": name, "low": low, "high": high, "holds": holds}
            with open(path, "a") as file:
                file.write(json.dumps(line) + "\n")
        if not holds:
            said = sentence(name, (low, high), (above, below), spread(self.chapter, name))
            if os.environ.get("QUEEN_CLAIMS") == "strict":
                raise ClaimFailed(said)
            print(f"This run does not bear out what the page says. {said}")


def extremes(value) -> tuple[float, float] | tuple[None, None]:
    """Smallest and largest number in `value`; None twice when it is empty.

    >>> extremes([[0.3, 0.1], [0.2, 0.5]])
    (0.1, 0.5)
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    numbers = np.asarray(value, dtype=float)
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (None, None)


def sentence(name: str, got: tuple, bounds: tuple, known: str) -> str:
    """What was claimed, what came out, and where the recorded spread stands.

    >>> sentence("cosine", (-0.2, 0.1), (None, -0.3), "nothing")
    'Claimed of "cosine": below -0.3. Came out: -0.2 to 0.1. Recorded: nothing.'
    """
    words = (f"{side} {bound:g}" for side, bound in zip(("above", "below"), bounds, strict=True)
             if bound is not None)  # fmt: skip
    return (f'Claimed of "{name}": {" and ".join(words)}. '
            f"Came out: {in_numbers(*got)}. Recorded: {known}.")  # fmt: skip


def in_numbers(low: float, high: float) -> str:
    """One number, or the range of several.

    >>> in_numbers(0.25, 0.25)
    '0.25'
    """
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def runs(path: Path | None = None, profile: str = PROFILE) -> list[dict]:
    """The recorded runs of a profile, one dict a run: chapter, seed, threads, machine, claims, ...

    Arguments: `path`, a file that ``make seeds`` writes, by default the one in ``book/results``.
    Errors: `ValueError` for no such file.

    >>> sorted({run["profile"] for run in runs()})
    ['cpu']
    """
    lines = (path or recorded(RECORD)).read_text().splitlines()
    return [run for run in map(json.loads, lines) if run["profile"] == profile]


def spread(chapter: str, name: str, path: Path | None = None) -> str:
    """Where the recorded values of a claim lie, over which seeds and thread counts, in words.

    >>> spread("05_queen_end_to_end", "of another book")
    'nothing'
    """
    try:
        found = [run for run in runs(path) if run["chapter"] == chapter and name in run["claims"]]
    except ValueError:  # only the package is here, and no network
        found = []
    if not found:
        return "nothing"
    lows, highs = zip(*(run["claims"][name] for run in found), strict=True)
    seeds, threads = ({run[what] for run in found} for what in ("seed", "threads"))
    return (f"{in_numbers(min(lows), max(highs))}, in {len(found)} runs with seeds "
            f"{', '.join(map(str, sorted(seeds)))} and {' or '.join(map(str, sorted(threads)))} "
            f"thread{'s' if threads != {1} else ''}")  # fmt: skip
