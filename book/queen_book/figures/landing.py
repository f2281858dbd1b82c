"""The figure of the first page: choose a defence, see what every thief gets."""

from __future__ import annotations

from collections.abc import Sequence

from queen_book.three_classes import TITLES
from queen_ref import plots
from queen_ref.arena.report import summarise

NAMES = {
    "none": "no defence",
    "none-oe": "no defence, outlier-exposed",
    **TITLES,
    "mad": "MAD",  # in the arena always with argmax
    "grad2": "GRAD²",
    "grad2-keep": "GRAD², label kept",
    "prada": "PRADA",
    "d-add": "D-ADD",
    "dawn": "DAWN",
    "queen": "QUEEN",  # all of it, not only its reversed answer
    "queen-exact": "QUEEN, exact",
    "queen-strict": "QUEEN, strict",
    "queen-strict-exact": "QUEEN, strict and exact",
    "queen-hidden": "QUEEN, strict, hidden answers",
    "queen-gated": "QUEEN, gated, hidden answers",
    "queen-abstain": "QUEEN, gated, abstaining",
    "queen-shared": "QUEEN, strict, one ledger",
    "queen-default-hidden": "QUEEN, hidden answers",
    "queen-swapped": "QUEEN, strict, two entries swapped",
    "queen-strict-abstain": "QUEEN, strict, abstaining",
    "queen-gated-cosine": "QUEEN, gated, the paper's answers",
    "queen-gated-inside": "QUEEN, gated by the inside share",
    "queen-joined": "QUEEN, gate and shared ledger",
    "queen-authors": "QUEEN, the authors' settings",
}
THIEVES = {
    "naive": "trains on the answers",
    "top1": "trains on the labels (top-1)",
    "s4l": "learns rotations too (S4L)",
    "smoothing": "asks thrice (smoothing)",
    "ddae": "undoes the defence (D-DAE)",
    "ddae+": "the same, knows all (D-DAE+)",
    "ddae-codebook": "the same, has the codebook",
    "bayes": "looks it up, knows all (p-Bayes)",
    "drop": "drops unsure answers",
    "zero": "reads the zero",
    "vote": "asks the neighbours (vote)",
    "early": "believes the first answers (early)",
    "rename": "renames the classes",
    "unswap": "undoes hidden answers (unswap)",
    "ask-twice": "asks again as a stranger",
    "names-2": "has 2 accounts",
    "names-4": "has 4 accounts",
    "names-16": "has 16 accounts",
    "names-80": "has 80 accounts",
    "rim": "asks what he is unsure of",
    "used-discs": "asks the same images again",
    "few-queries": "asks 64 images and stops",
    "poison": "asks to harm other customers",
    "data-free": "makes his own images",
    "entropy": "asks the most uncertain",
}

FIRST_PAGE = ("naive", "top1", "drop", "early", "zero", "ddae")  # measured against every defence


def rows_of(lines: Sequence[dict], thieves: Sequence[str] = FIRST_PAGE) -> list[dict]:
    """The rows that `plot_stolen_film` takes, of the lines of a results file.

    >>> fig = plot_stolen_film(rows_of(read("arena.jsonl")))
    """
    return [
        row for row in summarise(lines)
        if row["profile"] == "cpu" and row["pool"] == "mnist" and row["policy"] == "random"
        and row["seeds"] >= 3 and row["attack"] in thieves and row["defense"] in NAMES
    ]  # fmt: skip


def plot_stolen_film(rows: Sequence[dict], first: str = "queen-strict", height: int = 300):
    """A bar for every thief; a slider chooses the defence. It needs no kernel.

    A bar is the mean over the seeds, its whisker goes from the worst seed to the best. The line is
    the accuracy of the answers that an honest user gets after as many queries. The grid has no
    cell for the labels of a defence that keeps them, for these are the labels of the defence
    `top1`; and none for undoing a defence that is not there. A thief who was never recorded has
    no bar.

    Arguments: `rows`, of `queen_ref.arena.summarise`, of one profile, pool and policy; `first`, the
    defence to begin with; `height`, in pixels. Errors: `ValueError` for fewer than two defences,
    or none of them `first` or `top1`.

    >>> fig = plot_stolen_film([row for row in rows if row["policy"] == "random"])
    """
    defenses = [name for name in NAMES if any(row["defense"] == name for row in rows)]
    if len(defenses) < 2:
        raise ValueError("expected rows of two defences or more")
    if first not in defenses:
        raise ValueError(f"first: expected one of {', '.join(defenses)}, got {first!r}")
    labels = [row for row in rows if (row["attack"], row["defense"]) == ("naive", "top1")]
    if not labels:
        raise ValueError("expected a row of the naive thief against top1")
    kept = {**labels[0], "attack": "top1"}
    thieves = [name for name in THIEVES if any(row["attack"] == name for row in (kept, *rows))]
    frames = [
        _frame([kept, *(r for r in rows if r["defense"] == name)], thieves) for name in defenses
    ]
    at = defenses.index(first)
    fig = plots.figure(x="share of test images right", height=height).add_traces(frames[at])
    fig.update_xaxes(range=[0, 1.02])
    fig.update_yaxes(categoryorder="array", categoryarray=[THIEVES[name] for name in thieves[::-1]])
    fig.update_layout(legend=plots.legend_above())
    names = [NAMES[name] for name in defenses]
    return plots.add_slider(fig, frames, names, prefix="defence: ", first=at)


def _frame(rows: Sequence[dict], thieves: Sequence[str]) -> list[dict]:
    stolen = {row["attack"]: row for row in rows}
    found = [stolen.get(name) for name in thieves]
    values, low, high = ([row and row[f"substitute_accuracy{end}"] for row in found]
                         for end in ("", "_min", "_max"))  # fmt: skip
    kept = stolen["naive"]["protected_accuracy_after"]
    words = [THIEVES[name] for name in thieves]
    missing = [thief for thief, value in zip(words, values, strict=True) if value is None]
    return [
        {
            "type": "bar", "orientation": "h", "y": words, "x": values, "name": "the thief's copy",
            "marker": {"color": plots.ROLES["substitute"]},
            "error_x": plots.whiskers(values, low, high, thickness=1.5),
            "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "lines", "x": [kept] * len(words), "y": words,
            "name": "answers to an honest user, afterwards",
            "line": {"color": plots.ROLES["victim"], "width": 3},
            "hovertemplate": "%{x:.3f}<extra></extra>",
        },
        {
            "type": "scatter", "mode": "text", "x": [0.01] * len(missing), "y": missing,
            "text": ["nothing to undo"] * len(missing), "textposition": "middle right",
            "textfont": {"color": "#595959"}, "hoverinfo": "skip", "showlegend": False,
        },
    ]  # fmt: skip
