"""What the threshold does: the thief's substitute against what honest users keep."""

from __future__ import annotations

from collections.abc import Sequence

from queen_book.figures.end_to_end import mean_and_range
from queen_ref import plots

# What counts the queries, the name, the colour, the dash.
THIEF = "budget", "the thief's substitute", plots.ROLES["substitute"], "solid"
USER = "questions", "answers to a fresh honest user", "#0072B2", "dash"
BARE = "budget", "the substitute without a defence", "#777777", "solid"


def plot_threshold_film(runs: Sequence[dict], honest: Sequence[dict], undefended: Sequence[dict]):
    """Accuracy against the number of queries; a slider sets the threshold.

    The thief's line is the accuracy of his substitute, the honest user's that of the answers he has
    got so far: means over seeds, with whiskers from the worst to the best. The grey line is the
    thief without a defence.

    Arguments: `runs`, one substitute each: "threshold", "budget", "accuracy"; `honest`,
    "threshold", "questions", "accuracy", one a seed; `undefended`, as `runs`, without "threshold".
    Errors: `ValueError` for fewer than two thresholds, or one without honest users.

    >>> runs = [dict(threshold=t, budget=b, accuracy=t) for t in (0.1, 0.2) for b in (10, 90)]
    >>> users = [dict(threshold=t, questions=10, accuracy=0.9) for t in (0.1, 0.2)]
    >>> fig = plot_threshold_film(runs, users, undefended=runs)
    """
    thresholds = sorted({run["threshold"] for run in runs}, reverse=True)
    if len(thresholds) < 2 or {row["threshold"] for row in honest} != set(thresholds):
        raise ValueError("expected two or more thresholds, each with honest users")
    frames = [
        [
            _curve([run for run in runs if run["threshold"] == t], *THIEF),
            _curve([row for row in honest if row["threshold"] == t], *USER),
        ]
        for t in thresholds
    ]
    fig = plots.figure(x="queries (log scale)", y="share of right answers", height=460)
    first = len(frames) // 2  # at the highest threshold two curves coincide
    fig.add_traces([*frames[first], _curve(undefended, *BARE)])
    # The same scale in every frame, or a move of the slider could not be seen.
    least = min(row["accuracy"] for row in [*runs, *honest, *undefended])
    fig.update_yaxes(range=[max(0, least - 0.05), 1.01])
    ticks = sorted({run["budget"] for run in runs} | {row["questions"] for row in honest})
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[str(t) for t in ticks])
    fig.update_layout(legend=plots.legend_above())
    fig = plots.add_slider(fig, frames, [f"{t:g}" for t in thresholds], prefix="threshold ")
    fig.layout.sliders[0].active = first
    return fig


def _curve(rows: Sequence[dict], count: str, name: str, color: str, dash: str) -> dict:
    ordered = sorted(rows, key=lambda row: row[count])
    counts, means, low, high = mean_and_range(ordered, count, "accuracy")
    return {
        "type": "scatter", "x": counts, "y": means, "name": name, "mode": "lines+markers",
        "line": {"color": color, "dash": dash}, "marker": {"size": 9},
        "error_y": plots.whiskers(means, low, high, thickness=1.5),
        "hovertemplate": "%{x} queries: %{y:.3f}<extra></extra>",
    }  # fmt: skip
