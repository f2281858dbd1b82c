"""Figures of chapter 6: recovered answers, and what an attack is worth.

Tensors or arrays go in, plotly figures come out. Plotly is imported where it is used.
"""

from __future__ import annotations

import numpy as np

from queen_book.figures.extraction import DASHES
from queen_ref.plots import (
    CLASS_COLORS,
    CLASS_SYMBOLS,
    ROLES,
    add_slider,
    figure,
    legend_above,
    seed_whiskers,
)


def plot_curves(series: dict, x: str, y: str, log: bool = False, percent: bool = True):
    """Values against a number: mean of the seeds, with bars from the lowest to the highest.

    Arguments: `series`, name -> (positions (P,), values (P, seeds)); `x` and `y`, labels of the
    axes; `log`, whether positions are on a logarithmic axis; `percent`, whether values are shares,
    drawn in percent.

    >>> series = {"naive": ([100, 400], np.random.rand(2, 3))}
    >>> fig = plot_curves(series, "queries", "accuracy (%)")
    """
    fig = figure(x=x, y=y)
    for number, (name, (positions, values)) in enumerate(series.items()):
        values = np.asarray(values, dtype=float) * (100 if percent else 1)
        fig.add_scatter(
            x=list(positions), y=values.mean(1).round(4), name=name, mode="lines+markers",
            error_y=seed_whiskers(values, thickness=1.5, width=5),
            line={"color": CLASS_COLORS[number % 10], "dash": DASHES[number % 4]},
            marker={"symbol": CLASS_SYMBOLS[number % 10], "size": 9},
        )  # fmt: skip
    if log:
        ticks = sorted({p for positions, _ in series.values() for p in positions})
        fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    fig.update_yaxes(rangemode="tozero")
    return _with_legend(fig)


def plot_recovery_film(clean, labels: dict):
    """How sure the victim was, and how sure the thief's training target is; a slider recovers.

    A panel for each defence, a frame for each recovery. Arguments: `clean`, (N,) the victim's
    probability of its own label; `labels`, defence -> recovery -> (N,) what the training target
    gives that class. All defences have the same recoveries, at least two.

    >>> p = np.linspace(0.5, 0.999, 50)
    >>> fig = plot_recovery_film(p, {"rounding": {"none": p.round(1), "top1": np.ones(50)}})
    """
    odds, ticks = _log_odds(clean), (0.5, 0.9, 0.99, 0.999)
    names = list(next(iter(labels.values())))
    frames = [
        [_dots(odds, targets[name], number) for number, targets in enumerate(labels.values())]
        for name in names
    ]
    fig = figure(height=400).set_subplots(
        1, len(labels), subplot_titles=list(labels), shared_yaxes=True, horizontal_spacing=0.03
    )
    for column, trace in enumerate(frames[0], start=1):
        fig.add_trace(trace, row=1, col=column)
    line = np.linspace(odds.min(), odds.max(), 60)
    for column in range(1, len(labels) + 1):
        fig.add_scatter(
            x=line.round(3), y=(1 / (1 + np.exp(-line))).round(4), mode="lines", hoverinfo="skip",
            line={"color": "#444", "width": 1.5, "dash": "dash"}, name="the victim's own",
            showlegend=column == 1, row=1, col=column,
        )  # fmt: skip
    fig.update_xaxes(
        tickvals=_log_odds(ticks),
        ticktext=[f"{t:g}" for t in ticks],
        range=[odds.min() - 0.3, 10.3],
    )
    fig.update_yaxes(range=[-0.04, 1.04])
    fig.update_yaxes(title_text="the same class's share in the target", row=1, col=1)
    # Titles of the panels are annotations too: this one goes between the panels and the slider.
    fig.update_xaxes(title_text="the victim's probability of its label", row=1,
                     col=(len(labels) + 1) // 2)  # fmt: skip
    fig.update_layout(margin={"t": 60}, legend={"x": 0.01, "y": 0.02, "yanchor": "bottom"})
    fig.update_layout(legend_bgcolor="rgba(255,255,255,0.8)")
    return add_slider(fig, frames, names, prefix="recovery: ")


def plot_errors(values: dict):
    """The L1 error of training targets, one panel a defence, one line a recovery.

    A dot for each seed, a bar at their mean. Arguments: `values`, defence -> recovery -> (seeds,)
    mean L1 distances to the clean answers. The first recovery is the answer as received: a dotted
    line goes through it.

    >>> fig = plot_errors({"rounding": {"none": [0.01, 0.02], "top1": [0.04, 0.05]}})
    """
    names = list(next(iter(values.values())))
    fig = figure(height=150 + 42 * len(names)).set_subplots(
        1, len(values), subplot_titles=list(values), shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, found in enumerate(values.values(), start=1):
        for number, name in enumerate(names):
            _line_of_dots(fig, name, found[name], number, row=1, col=column)
        fig.add_vline(x=float(np.mean(found[names[0]])), row=1, col=column,
                      line={"color": "#444", "dash": "dot", "width": 1.5})  # fmt: skip
    # One scale for all: the eye compares across panels.
    top = max(max(scores) for found in values.values() for scores in found.values())
    fig.update_xaxes(range=[-0.06 * top, 1.1 * top])
    fig.update_xaxes(title_text="mean L1 to the victim's answer", row=1, col=(len(values) + 1) // 2)
    fig.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    return fig


def plot_scores(rows: dict, x: str, reference: tuple[str, float] | None = None):
    """Accuracies of the same seeds under different conditions, one line of dots a condition.

    A dot for each seed, a bar at their mean. Arguments: `rows`, name -> (seeds,) scores in [0, 1],
    drawn in percent, where names that end alike after a comma share a colour; `x`, label of the
    axis; `reference`, a name and a score, drawn as a dashed line.

    >>> fig = plot_scores({"naive": [0.5, 0.6]}, "accuracy (%)", ("undefended", 0.93))
    """
    fig = figure(height=150 + 42 * len(rows), x=x)
    ends = {name: name.rpartition(", ")[2] for name in rows}
    numbers = {end: number for number, end in enumerate(dict.fromkeys(ends.values()))}
    for name, found in rows.items():
        values = 100 * np.asarray(found, dtype=float)
        _line_of_dots(fig, name, values, numbers[ends[name]])
    fig.update_yaxes(categoryorder="array", categoryarray=list(rows)[::-1])
    if reference is not None:
        fig.add_vline(x=100 * reference[1], line={"color": ROLES["victim"], "dash": "dash"},
                      annotation_text=reference[0], annotation_position="top left")  # fmt: skip
    return fig.update_xaxes(range=[0, 101])


def _line_of_dots(fig, name: str, values, number: int, **panel) -> None:
    values = np.asarray(values, dtype=float)
    color = CLASS_COLORS[number % 10]
    fig.add_scatter(
        x=values.round(4), y=[name] * len(values), mode="markers", showlegend=False, name=name,
        marker={"size": 10, "opacity": 0.75, "color": color, "symbol": CLASS_SYMBOLS[number % 10]},
        **panel,
    )  # fmt: skip
    fig.add_scatter(
        x=[values.mean().round(4)], y=[name], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"symbol": "line-ns", "size": 18, "line_width": 2, "line_color": "#222"}, **panel,
    )  # fmt: skip


def _dots(odds, values, number: int) -> dict:
    axis = "" if number == 0 else str(number + 1)
    return {"type": "scatter", "mode": "markers", "x": odds.round(3), "showlegend": False,
            "y": np.asarray(values, dtype=float).round(3), "hoverinfo": "skip",
            "marker": {"color": CLASS_COLORS[number], "symbol": CLASS_SYMBOLS[number],
                       "size": 5, "opacity": 0.6},
            "xaxis": f"x{axis}", "yaxis": f"y{axis}"}  # fmt: skip


def _log_odds(share) -> np.ndarray:
    """log(p / (1 - p)), within +-10."""
    share = np.asarray(share, dtype=float)
    return np.log(share.clip(5e-5) / (1 - share).clip(5e-5)).clip(-10, 10)


def _with_legend(fig):
    return fig.update_layout(legend=legend_above(), margin_t=60)
