"""Figures of the thieves who look: the stream of answers, many names, and the table's picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from queen_ref import plots

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def plot_stream(sureness: np.ndarray, reverse: np.ndarray, height: int = 380) -> Figure:
    """The largest probability of every answer, in the order in which a thief got them.

    Arguments: `sureness` (N,); `reverse` (N,), whether the answer was reversed, which the thief
    is not told; `height` in pixels.

    >>> fig = plot_stream(np.array([0.9, 0.5]), np.array([False, True]))
    """
    fig = plots.figure(
        "The first answers are all honest", "number of the query", "largest probability", height
    )
    numbers = np.arange(1, len(sureness) + 1)
    kinds = (("honest", ~reverse, "neutral", "circle-open"), ("reversed", reverse, "reversed", "x"))
    for name, rows, role, symbol in kinds:
        fig.add_scatter(
            x=numbers[rows], y=sureness[rows], mode="markers", name=name,
            marker={"color": plots.ROLES[role], "symbol": symbol, "size": 5},
        )  # fmt: skip
    fig.update_yaxes(range=[0, 1.03])
    return fig.update_layout(legend=plots.legend_above(), margin_t=80)


def plot_names(names: Sequence[int], shares: Mapping[str, np.ndarray], height: int = 360) -> Figure:
    """How many of the answers are reversed, by the number of accounts that share the queries.

    Arguments: `names`, numbers of accounts; `shares`, for each defence the shares (N,) of answers
    that are reversed; `height` in pixels.

    >>> fig = plot_names([1, 2], {"strict": np.array([0.5, 0.4])})
    """
    fig = plots.figure(
        "More names, fewer lies", "accounts that share 1500 queries", "answers reversed, %", height
    )
    for (name, values), color in zip(shares.items(), plots.CLASS_COLORS, strict=False):
        fig.add_scatter(
            x=[str(n) for n in names], y=100 * values, mode="lines+markers", name=name,
            line_color=color,
        )  # fmt: skip
    fig.update_yaxes(rangemode="tozero").update_xaxes(type="category")
    return fig.update_layout(legend=plots.legend_above(), margin_t=80)


def plot_thieves(
    rows: Sequence[tuple[str, float, float, float]], free: float, height: int = 600
) -> Figure:
    """One row a thief, the best on top: what his copy reaches, a whisker over the seeds.

    Arguments: `rows`, names with the mean, the lowest and the highest accuracy over the seeds;
    `free`, what the naive thief reaches without a defence; `height` in pixels.

    >>> fig = plot_thieves([("zero", 0.95, 0.94, 0.96)], free=0.96)
    """
    ordered = sorted(rows, key=lambda row: row[1])
    names, means = [row[0] for row in ordered], [row[1] for row in ordered]
    fig = plots.figure("Who looks, gets it back", "accuracy of the copy", "", height)
    fig.add_scatter(
        x=means, y=names, mode="markers", name="copy, mean of the seeds",
        marker={"color": plots.ROLES["substitute"], "size": 9},
        error_x=plots.whiskers(means, [row[2] for row in ordered], [row[3] for row in ordered]),
    )  # fmt: skip
    fig.add_scatter(
        x=[free, free], y=[names[0], names[-1]], mode="lines", name="without a defence",
        line={"color": plots.ROLES["victim"], "dash": "dash"},
    )  # fmt: skip
    return fig.update_layout(legend=plots.legend_above(), margin_t=115, title_y=0.97)
