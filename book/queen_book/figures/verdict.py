"""Figures of the verdict: a row a defence, every cell, the plane of what is kept and stolen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from queen_book.figures.landing import NAMES
from queen_ref import plots
from queen_ref.arena.verdict import KINDS, Difference, Verdict, kind_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

THIEVES = {  # kind: what the legend says, colour, marker
    "ordinary": ("best ordinary thief", plots.ROLES["neutral"], "circle"),
    "looks": ("best thief who looks", plots.ROLES["recorded"], "diamond"),
    "knows": ("best thief who knows", plots.ROLES["substitute"], "x"),
}

LOW = -20  # points of the best thief, at the foot of the plane


def title_of(defense: str) -> str:
    """What a defence is called in a figure, with its setting where that is not the usual one.

    >>> title_of("queen-strict"), title_of("mad epsilon=0.5")
    ('QUEEN, strict', 'MAD epsilon=0.5')
    """
    name, _, setting = defense.partition(" ")
    return " ".join([NAMES.get(name, name), *([setting] if setting else [])])


def plot_verdicts(
    verdicts: Sequence[Verdict],
    questions: str = "1000",
    height: int = 620,
    title: str = "The best thief loses next to nothing",
) -> Figure:
    """A row a defence, the one whose best thief loses most at the top, all against no defence.

    Arguments: `verdicts` of `queen_ref.arena.verdict`; `questions`, how many the honest client
    asked; `height` in pixels; `title`, what is seen. Errors: `ValueError` without verdicts.

    >>> fig = plot_verdicts(verdicts(lines))
    """
    if not verdicts:
        raise ValueError("expected at least one verdict")
    fig = plots.figure(title, "points", height=height)
    rows = [title_of(one.defense) for one in verdicts]
    for name, one in zip(rows, verdicts, strict=True):
        reached = [one.naive.mean, *(thief.mean for thief in one.thieves.values())]
        fig.add_scatter(
            x=[100 * min(reached), 100 * max(reached)], y=[name, name], mode="lines",
            line={"color": "#ccc", "width": 4}, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    naive = [(n, v.naive) for n, v in zip(rows, verdicts, strict=True)]
    _add_points(fig, naive, "naive thief", plots.ROLES["neutral"], "circle-open")
    for kind in KINDS:
        title, color, symbol = THIEVES[kind]
        there = [(n, v.thieves[kind]) for n, v in zip(rows, verdicts, strict=True)
                 if kind in v.thieves]  # fmt: skip
        _add_points(fig, there, title, color, symbol)
    kept = [(n, v.honest[questions]) for n, v in zip(rows, verdicts, strict=True)
            if questions in v.honest]  # fmt: skip
    title = f"honest client, {questions} questions"
    _add_points(fig, kept, title, plots.ROLES["victim"], "square")
    fig.add_vline(x=0, line={"color": "#444", "width": 1, "dash": "dot"})
    fig.update_yaxes(categoryorder="array", categoryarray=rows[::-1])
    return fig.update_layout(legend=plots.legend_above(), margin_t=170, title_y=0.98)


def _add_points(fig: Figure, there: list, title: str, color: str, symbol: str) -> None:
    means = [100 * one.mean for _, one in there]
    fig.add_scatter(
        x=means, y=[name for name, _ in there], mode="markers", name=title,
        marker={"color": color, "symbol": symbol, "size": 9},
        error_x=plots.whiskers(means, [100 * one.low for _, one in there],
                               [100 * one.high for _, one in there], thickness=1, width=3),
        text=[one.attack for _, one in there],
        hovertemplate="%{y}: %{x:+.1f} points %{text}<extra></extra>",
    )  # fmt: skip


def plot_losses(
    found: Mapping[str, Mapping[str, Difference]],
    least: float = 2,
    height: int = 640,
    title: str = "Each dark column has a way through",
) -> Figure:
    """Every cell: points that a thief has less than without a defence, thieves down.

    Where he loses less than `least` points there is a dot, where nothing was recorded nothing.

    Arguments: `found`, of `queen_ref.arena.verdict.differences`, the defences that are to be shown,
    in order; `least`, points; `height` in pixels; `title`, what the map shows.
    Errors: `ValueError` for no cells.

    >>> fig = plot_losses({"queen": {"naive": Difference("naive", (0,), (-0.1,))}})
    """
    thieves = list(dict.fromkeys(name for some in found.values() for name in some))
    if not thieves:
        raise ValueError("expected at least one cell")
    thieves = [name for kind in KINDS for name in thieves if kind_of(name) == kind]
    cells = [[some.get(name) for some in found.values()] for name in thieves]
    fig = plots.figure(title, height=height)
    fig.add_heatmap(
        z=[[None if one is None else max(-100 * one.mean, 0) for one in row] for row in cells],
        x=[title_of(name) for name in found], y=thieves, zmin=0, zmax=40,
        text=[["" if one is None else f"{-100 * one.mean:.0f}" if -100 * one.mean >= least else "·"
               for one in row] for row in cells],
        texttemplate="%{text}", colorscale=[[0, "#f2f2f2"], [1, plots.ROLES["victim"]]],
        xgap=2, ygap=2, hoverongaps=False, showscale=False,
        hovertemplate="%{y} against %{x}: %{z:.1f} points less<extra></extra>",
    )  # fmt: skip
    fig.update_yaxes(autorange="reversed", showgrid=False)
    return fig.update_xaxes(showgrid=False, tickangle=-90, dtick=1, tickfont_size=11, side="bottom")


def plot_plane(
    curves: Mapping[str, Sequence[Verdict]],
    questions: Sequence[str] = ("100", "1000"),
    height: int = 780,
    title: str = "Turned up, it is honest clients who lose",
    low: float = LOW,
) -> Figure:
    """What honest clients keep against what the best thief gets: a defence is a curve.

    Two bounds stand in it. Whoever keeps all labels lies on the thief's level without a defence
    or above: the horizontal line. A thief in distribution who asks as much as an honest client is
    answered as one: along the diagonal his copy loses what the honest client loses.

    Arguments: `curves`, for each name the verdicts of its settings, in order; `questions`, a panel
    for each; `height` in pixels; `title`, what the plane shows; `low`, points of the best thief at
    the foot of it.

    >>> fig = plot_plane({"QUEEN": verdicts(lines)}, questions=["100"])
    """
    from plotly.subplots import make_subplots  # optional: only figures need it

    fig = make_subplots(
        rows=len(questions), shared_xaxes=True, vertical_spacing=0.1, figure=plots.figure(
            title, height=height),
        subplot_titles=[f"honest clients of {n} questions" for n in questions],
    )  # fmt: skip
    for row, number in enumerate(questions, start=1):
        for index, (name, some) in enumerate(curves.items()):
            color = plots.CLASS_COLORS[index % len(plots.CLASS_COLORS)]
            fig.add_scatter(
                x=[100 * one.honest[number].mean for one in some],
                y=[100 * one.best.mean for one in some],
                mode="lines+markers", name=name, legendgroup=name, showlegend=row == 1,
                marker={"symbol": plots.CLASS_SYMBOLS[index % 10], "size": 9, "color": color},
                line={"color": color},
                text=[f"{title_of(one.defense)}: {one.best.attack}" for one in some],
                hovertemplate="%{text}<br>honest %{x:+.1f}, thief %{y:+.1f}<extra></extra>",
                row=row, col=1,
            )  # fmt: skip
        fig.add_hline(y=0, line={"color": "#444", "dash": "dot"}, row=row, col=1)
        fig.add_scatter(
            x=[low, 0], y=[low, 0], mode="lines", name="as much from both", hoverinfo="skip",
            line={"color": plots.ROLES["neutral"], "dash": "dash"}, showlegend=row == 1,
            legendgroup="bound", row=row, col=1,
        )  # fmt: skip
        fig.update_yaxes(title_text="best thief, points", range=[low, 3], row=row, col=1)
    fig.update_xaxes(title_text="honest clients, points", row=len(questions), col=1)
    return fig.update_layout(legend=plots.legend_above(1.06), margin_t=190, title_y=0.985)
