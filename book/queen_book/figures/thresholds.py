"""What the threshold does: the thief's substitute against what honest users keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from queen_book.figures.end_to_end import mean_and_range
from queen_ref import plots

USERS = {"fresh": ("#0072B2", "solid"), "covered": ("#56B4E9", "dash")}
THIEF, BARE = plots.ROLES["substitute"], "#777777"


def plot_threshold_film(runs: Sequence[dict], honest: Sequence[dict], undefended: Sequence[dict]):
    """Accuracy against the budget; a slider sets the threshold. It needs no kernel.

    The thief's line is the mean over seeds, its whiskers go from the worst to the best. The two
    level lines are the accuracy of the answers that honest users get at that threshold. The grey
    line is the thief without a defence.

    Arguments: `runs`, one substitute each: "threshold", "budget", "accuracy"; `honest`,
    "threshold", "client" ("fresh" or "covered"), "accuracy", one a seed; `undefended`, as `runs`,
    without "threshold". Errors: `ValueError` for fewer than two thresholds, or one without honest
    users.

    >>> runs = [dict(threshold=t, budget=b, accuracy=t) for t in (0.1, 0.2) for b in (10, 90)]
    >>> users = [dict(threshold=t, client="fresh", accuracy=0.9) for t in (0.1, 0.2)]
    >>> fig = plot_threshold_film(runs, users, undefended=runs)
    """
    thresholds = sorted({run["threshold"] for run in runs}, reverse=True)
    if len(thresholds) < 2 or {row["threshold"] for row in honest} != set(thresholds):
        raise ValueError("expected two or more thresholds, each with honest users")
    budgets = sorted({run["budget"] for run in runs})
    frames = [
        [_thief([run for run in runs if run["threshold"] == t], "the thief's substitute", THIEF)]
        + [_user(honest, t, client, (budgets[0], budgets[-1])) for client in USERS]
        for t in thresholds
    ]
    fig = plots.figure(x="queries (log scale)", y="share of test images", height=460)
    fig.add_traces([*frames[0], _thief(undefended, "the substitute without a defence", BARE)])
    # The same scale in every frame, or a move of the slider could not be seen.
    least = min(row["accuracy"] for row in [*runs, *honest, *undefended])
    fig.update_yaxes(range=[max(0, least - 0.05), 1.01])
    fig.update_xaxes(type="log", tickvals=budgets, ticktext=[str(b) for b in budgets])
    fig.update_layout(legend=plots.legend_above())
    return plots.add_slider(fig, frames, [f"{t:g}" for t in thresholds], prefix="threshold ")


def _thief(runs: Sequence[dict], name: str, color: str) -> dict:
    ordered = sorted(runs, key=lambda r: r["budget"])
    budgets, means, low, high = mean_and_range(ordered, "budget", "accuracy")
    return {
        "type": "scatter", "x": budgets, "y": means, "name": name, "mode": "lines+markers",
        "line": {"color": color}, "marker": {"size": 9},
        "error_y": plots.whiskers(means, low, high, thickness=1.5),
        "hovertemplate": "%{x} queries: %{y:.3f}<extra></extra>",
    }  # fmt: skip


def _user(honest: Sequence[dict], threshold: float, client: str, ends: tuple) -> dict:
    color, dash = USERS[client]
    mine = [r["accuracy"] for r in honest if (r["threshold"], r["client"]) == (threshold, client)]
    level = float(np.mean(mine)) if mine else None
    return {
        "type": "scatter", "x": list(ends), "y": [level, level], "mode": "lines",
        "name": f"answers to a {client} honest user", "line": {"color": color, "dash": dash},
        "hovertemplate": f"{client} user: %{{y:.3f}}<extra></extra>",
    }  # fmt: skip
