"""Record the phase diagram on photographs: book/results/photos-phase.jsonl.

A share of the victim's answers to Tiny ImageNet is reversed at random, by shadows trained to a
given accuracy, and a copy learns from all of them. A square of the diagram is a line; squares that
are there are not measured again.

    QUEEN_DATA=/path/to/data python book/tools/photo_phase.py
"""

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from grids import RESULTS

import queen_ref as qr
from queen_ref.arena import Cache, Cell
from queen_ref.arena.measure import one_thread
from queen_ref.arena.parts import SharedParts
from queen_ref.arena.provenance import machine, revision, versions
from queen_ref.metrics import accuracy, predict
from queen_ref.progress import progress
from queen_ref.queen.shadows import ShadowEnsemble

OUT = RESULTS / "photos-phase.jsonl"
SEEDS = [0, 1, 2]
QUERIES = 5000  # a quarter of the budget: forty copies have to be trained
LEVELS = [0.2, 0.35, 0.5]  # accuracy at which a shadow's training stops
SHARES = [0.5, 0.75, 1.0]  # of the answers that are reversed; with none the shadows play no part


def squares() -> list[tuple[int, float | None, float]]:
    """(seed, level, share) of every square; without a reversed answer there is no level.

    >>> len(squares())
    30
    """
    pairs: list[tuple[float | None, float]] = [(None, 0.0)]
    pairs += [(level, share) for level in LEVELS for share in SHARES]
    return [(seed, *pair) for seed in SEEDS for pair in pairs]


@lru_cache(maxsize=1)
def parts_of(seed: int) -> SharedParts:
    """Data and victim of a seed."""
    return SharedParts(Cell("photos", "tiny-imagenet", "naive", "random", "none", seed), Cache())


@lru_cache(maxsize=1)
def shadows_until(seed: int, level: float) -> ShadowEnsemble:
    """The shadows of a row of the diagram."""
    parts = parts_of(seed)
    data, queen = parts.data, parts.settings.queen
    return ShadowEnsemble.fit(
        *data.train, data.num_classes, count=queen.shadows, arch=queen.shadow_arch,
        seed=seed, stop_at=level, epochs=queen.shadow_epochs,
    )  # fmt: skip


def measured(seed: int, level: float | None, share: float) -> dict[str, Any]:
    """One square: the accuracy of the copy, and of what it learned from.

    >>> measured(0, None, 0.0)["substitute_accuracy"] > 0.5             # doctest: +SKIP
    True
    """
    parts = parts_of(seed)
    data, settings = parts.data, parts.settings
    queries = data.pool(settings.pool)[:QUERIES]
    answers = predict(parts.victim, queries)
    line: dict[str, Any] = {
        "seed": seed, "shadows_until": level, "reversed": share, "queries": QUERIES,
        "images": data.source,
    }  # fmt: skip
    if level is not None:
        shadows = shadows_until(seed, level)
        reached = [accuracy(model, *data.test) for model in shadows.models]
        turn = torch.rand(QUERIES, generator=torch.Generator().manual_seed(seed)) < share
        everyone = torch.ones(int(turn.sum()), len(shadows), dtype=torch.bool)
        batches = zip(queries[turn].split(500), everyone.split(500), strict=True)
        turned = qr.reverse_gradient(answers[turn], torch.cat([shadows(*b) for b in batches]))
        kept = turned.argmax(1) == answers[turn].argmax(1)
        line["shadow_accuracy"] = sum(reached) / len(reached)
        line["labels_kept"] = float(kept.double().mean())
        answers[turn] = turned
    copy = qr.attacks.train_substitute(queries, answers, settings.sizes.recipe, seed=seed)
    line["substitute_accuracy"] = accuracy(copy, *data.test)
    return line | {"machine": machine("cpu"), "versions": versions(), "git": revision()}


def read(path: Path = OUT) -> list[dict[str, Any]]:
    """The lines that are there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> int:
    there = {(line["seed"], line["shadows_until"], line["reversed"]) for line in read()}
    wanted = [square for square in squares() if square not in there]
    for square in progress(wanted, desc="squares"):
        try:
            with one_thread():
                line = measured(*square)
        except ValueError as error:  # no images
            print(error, file=sys.stderr)
            return 2
        with OUT.open("a") as file:
            file.write(json.dumps(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
