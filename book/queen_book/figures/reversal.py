"""Figures of chapter 4: the reversed answer, from the simplex to the phase diagram."""

from __future__ import annotations

import numpy as np
import torch

from queen_book.figures.triangle import CORNERS, flat
from queen_ref.plots import (
    CLASS_COLORS,
    CLASS_SYMBOLS,
    ROLES,
    add_slider,
    figure,
    legend_above,
    seed_whiskers,
)
from queen_ref.queen.unlearning import reverse_gradient

EXACT = "#009E73"


def plot_simplex_film(y, path):
    """y, p, t = 2p - y and both answers on the simplex of three classes; a slider moves p.

    One frame for each p; the figure starts where the two answers differ most. Arguments: `y`, (3,)
    the victim's softmax; `path`, (T, 3) values of p with different first entries, T >= 2.

    >>> y = [0.8, 0.1, 0.1]
    >>> fig = plot_simplex_film(y, np.linspace([0, 0, 1], y, 5))
    """
    path = np.asarray(path, dtype=float)
    y = np.broadcast_to(np.asarray(y, dtype=float), path.shape)
    pair = torch.tensor(y.copy()), torch.tensor(path)
    cosine, exact = (reverse_gradient(*pair, method=m).numpy() for m in ("cosine", "exact"))
    names = ("y, the victim's answer", "p, the shadows' mean", "t = 2p - y", "cosine", "exact")
    colors = (ROLES["victim"], ROLES["substitute"], "#000000", ROLES["reversed"], EXACT)
    symbols = ("square", "circle", "x", "diamond", "star")
    values = np.stack([y, path, 2 * path - y, cosine, exact])  # (5, T, 3)
    first = int(np.abs(cosine - exact).sum(1).argmax())
    frames = []
    for step in range(len(path)):
        here = values[:, step]
        lines = [_line(here[[0, 1, 2]], "#888888", "dot"), _line(here[[1, 3]], colors[3], "solid")]
        marks = [_mark(*row) for row in zip(here, names, colors, symbols, strict=True)]
        frames.append(lines + marks)
    fig = figure(height=560).add_traces(frames[first])
    inner = (np.eye(3) + y[0]) / 2  # where t is a probability: half the size, a corner at y
    for corners, color, dash, name in (
        (np.eye(3), "#222222", "solid", "the simplex"),
        (inner, ROLES["inside"], "dash", "p in here: t is a probability"),
    ):
        x, z = flat(corners[[0, 1, 2, 0]]).T.round(4)
        fig.add_scatter(x=x, y=z, mode="lines", name=name, hoverinfo="skip",
                        line={"color": color, "dash": dash, "width": 2})  # fmt: skip
    for k, (x, z) in enumerate(CORNERS):
        fig.add_annotation(x=x, y=z, text=f"class {k + 1}", showarrow=False,
                           yshift=14 if k == 2 else -14)  # fmt: skip
    outer = flat(2 * path - y)
    low, high = outer.min(0), outer.max(0)
    fig.update_xaxes(range=[min(-0.1, low[0] - 0.06), max(1.1, high[0] + 0.06)], visible=False)
    fig.update_yaxes(range=[min(-0.12, low[1] - 0.06), max(1.0, high[1] + 0.06)], visible=False,
                     scaleanchor="x")  # fmt: skip
    fig.update_layout(legend=legend_above())
    fig.update_layout(margin={"t": 20})
    fig = add_slider(fig, frames, [f"{p[0]:.2f}" for p in path], prefix="p of the victim's class: ")
    return fig.update_layout(sliders=[{"active": first, "pad": {"t": 10, "b": 5}}])


def _line(points, color: str, dash: str) -> dict:
    x, z = flat(points).T.round(4)
    return {"type": "scatter", "x": x, "y": z, "mode": "lines", "showlegend": False,
            "hoverinfo": "skip", "line": {"color": color, "dash": dash, "width": 1.5}}  # fmt: skip


def _mark(point, name: str, color: str, symbol: str) -> dict:
    x, z = flat(point[None]).T.round(4)
    text = "(" + ", ".join(f"{value:.2f}" for value in point) + ")"
    return {"type": "scatter", "x": x, "y": z, "mode": "markers", "name": name, "text": [text],
            "hovertemplate": "%{text}", "marker": {"color": color, "symbol": symbol, "size": 13,
            "line": {"color": "#fff", "width": 1}}}  # fmt: skip


def plot_step_histograms(steps: dict, low: float = 1e-6):
    """Histograms of lambda on a logarithmic axis, one panel a group.

    Arguments: `steps`, name -> (N,) values of lambda in [0, 1]; `low`, smaller values are counted
    in the first bin.

    >>> steps = {"two classes": np.array([0.5, 1.0]), "more": np.array([1e-3])}
    >>> fig = plot_step_histograms(steps)
    """
    fig = figure(height=150 * len(steps) + 60)
    fig.set_subplots(len(steps), 1, shared_xaxes=True, subplot_titles=list(steps),
                     vertical_spacing=0.09)  # fmt: skip
    edges = np.linspace(np.log10(low), 0.0, 4 * int(round(-np.log10(low))) + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    for row, values in enumerate(steps.values(), start=1):
        values = np.clip(np.asarray(values, dtype=float), low, 1.0)
        share = 100 * np.histogram(np.log10(values), edges)[0] / len(values)
        fig.add_bar(x=middles, y=share.round(2), width=0.24, marker_color=EXACT,
                    showlegend=False, row=row, col=1)  # fmt: skip
        fig.update_yaxes(title_text="% of queries", range=[0, max(10, 1.1 * share.max())],
                         row=row, col=1)  # fmt: skip
    ticks = np.arange(int(round(np.log10(low))), 1, 2)
    names = [f"10<sup>{tick}</sup>" if tick else "1" for tick in ticks]
    fig.update_xaxes(tickvals=ticks, ticktext=names, range=[edges[0], 0.05])
    fig.update_xaxes(title_text="step lambda (no unit)", row=len(steps), col=1)
    return fig


def plot_stages(cosines: dict, lengths: dict, names):
    """Parameter gradients over a substitute's life: cosine to the honest one, and length.

    The mean of the runs, with bars from the lowest to the highest. Arguments: `cosines`, name ->
    (S, R) cosines, S stages and R runs; `lengths`, some of the same names -> (S, R) lengths,
    divided by the honest gradient's; `names`, what the S stages are called.

    >>> runs = {"exact": -np.ones((2, 3))}
    >>> fig = plot_stages(runs, {"exact": np.ones((2, 3))}, ["new", "old"])
    """
    fig = figure(height=620)
    fig.set_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.08)
    shift = np.linspace(-0.08, 0.08, len(cosines))
    numbers = {name: number for number, name in enumerate(cosines)}  # one look in both panels
    for row, group in ((1, cosines), (2, lengths)):
        for name, values in group.items():
            number, values = numbers[name], np.asarray(values, dtype=float)
            mean, dash = values.mean(1), "solid" if number % 2 == 0 else "dot"
            fig.add_scatter(
                x=np.arange(len(mean)) + shift[number], y=mean.round(4), name=name,
                error_y=_bars(values), showlegend=row == 1, row=row, col=1,
                marker={"symbol": CLASS_SYMBOLS[number], "size": 9},
                line={"color": CLASS_COLORS[number], "dash": dash},
                mode="lines+markers", legendgroup=name,
            )  # fmt: skip
    fig.add_hline(y=0, line={"color": "#444", "width": 1}, row=1, col=1)
    fig.update_yaxes(title_text="cosine to honest gradient", range=[-1.05, 1.05], row=1, col=1)
    fig.update_yaxes(title_text="length / honest length", rangemode="tozero", row=2, col=1)
    fig.update_xaxes(tickvals=np.arange(len(names)), ticktext=list(names))
    fig.update_xaxes(title_text="the substitute's age", row=2, col=1)
    return fig.update_layout(legend=legend_above())


def plot_shadow_strength(accuracy, curves: dict, steps, labels):
    """What the shadows' accuracy does to the reversed answers: shares above, lambda below.

    Arguments: `accuracy`, (L,) test accuracy of each level's shadows, in [0, 1]; `curves`, name ->
    (L,) shares in [0, 1]; `steps`, (L,) lambda of the exact form; `labels`, how each level was
    trained, for the hover text.

    >>> curves = {"label kept": [0.0, 0.8]}
    >>> fig = plot_shadow_strength([0.3, 0.9], curves, [0.2, 0.9], ["to 0.3", "to 0.9"])
    """
    fig = figure(height=520)
    fig.set_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.65, 0.35])
    order = np.argsort(accuracy)
    percent = {name: 100 * np.asarray(values, dtype=float) for name, values in curves.items()}
    rows = [(1, name, values) for name, values in percent.items()]
    rows.append((2, "median lambda of exact", np.asarray(steps, dtype=float)))
    for number, (row, name, values) in enumerate(rows):
        fig.add_scatter(
            x=100 * np.asarray(accuracy, dtype=float)[order], y=values[order], name=name,
            text=[labels[i] for i in order], mode="lines+markers",
            marker={"symbol": CLASS_SYMBOLS[number], "size": 9},
            line={"color": CLASS_COLORS[number]},
            hovertemplate="%{text}: %{y:.2f}", row=row, col=1,
        )  # fmt: skip
    fig.update_yaxes(title_text="share of queries, %", range=[-4, 104], row=1, col=1)
    fig.update_yaxes(title_text="lambda", range=[-0.04, 1.04], row=2, col=1)
    fig.update_xaxes(title_text="test accuracy of a single shadow, %", row=2, col=1)
    return fig.update_layout(legend=legend_above())


def plot_margins(groups: dict, border: float = 0.5):
    """How far the shadows' mean prefers the victim's class; right of the border it survives.

    Arguments: `groups`, name -> (N,) values of p_k - max p_j, in [-1, 1]; `border`, where the
    reversed answer begins to keep the label.

    >>> fig = plot_margins({"weak": np.array([-0.1, 0.2]), "strong": np.array([0.7, 0.9])})
    """
    fig = figure(height=150 * len(groups) + 60)
    fig.set_subplots(len(groups), 1, shared_xaxes=True, subplot_titles=list(groups),
                     vertical_spacing=0.09)  # fmt: skip
    edges = np.linspace(-1, 1, 41)
    middles = (edges[1:] + edges[:-1]) / 2
    colors = [ROLES["inside"] if x > border else ROLES["reversed"] for x in middles]
    for row, values in enumerate(groups.values(), start=1):
        share = 100 * np.histogram(np.clip(values, -1, 1), edges)[0] / len(values)
        fig.add_bar(x=middles.round(3), y=share.round(2), width=0.048, marker_color=colors,
                    showlegend=False, row=row, col=1)  # fmt: skip
        fig.add_vline(x=border, line={"color": "#222", "dash": "dash"}, row=row, col=1)
        fig.update_yaxes(title_text="% of queries", row=row, col=1)
    fig.add_annotation(x=border, y=1, yref="y domain", text="label kept →", showarrow=False,
                       xanchor="left", xshift=4, yanchor="top")  # fmt: skip
    fig.update_xaxes(range=[-1, 1])
    fig.update_xaxes(
        title_text="shadows' margin, p<sub>k</sub> − max p<sub>j</sub>", row=len(groups), col=1
    )
    return fig


def plot_phase_diagram(accuracy, shares, levels):
    """Heat map: share of reversed answers x strength of the shadows -> substitute's accuracy.

    Every cell says its mean and, below, its extremes. Arguments: `accuracy`, (L, S, R) accuracies
    in [0, 1] of L levels, S shares and R runs; `shares`, (S,) of reversed answers, in [0, 1];
    `levels`, the names of the L levels, weakest first.

    >>> fig = plot_phase_diagram(np.zeros((2, 2, 3)), [0.0, 1.0], ["weak", "strong"])
    """
    percent = 100 * np.asarray(accuracy, dtype=float)
    mean, low, high = percent.mean(2), percent.min(2), percent.max(2)
    cell = np.vectorize(lambda m, a, b: f"<b>{m:.1f}</b><br>{a:.1f} to {b:.1f}")
    fig = figure(x="answers reversed, %", y="accuracy of a single shadow", height=460)
    fig.add_heatmap(
        z=mean.round(2), x=[f"{100 * share:g}" for share in shares], y=list(levels),
        text=cell(mean, low, high), texttemplate="%{text}", colorscale="Cividis",
        zmin=0, zmax=100, colorbar={"title": "accuracy, %", "thickness": 12},
        hovertemplate="shadows %{y}, %{x} % reversed<br>%{text}<extra></extra>",
    )  # fmt: skip
    fig.update_xaxes(type="category", showgrid=False)
    return fig.update_yaxes(type="category", showgrid=False)


def plot_readings(accuracy: dict, levels, undefended: float, chance: float):
    """What three thieves make of the same reversed answers.

    The mean of the runs, with bars from the lowest to the highest. Arguments: `accuracy`, name of
    the reading -> (L, R) accuracies in [0, 1], L levels and R runs; `levels`, the names of the L
    levels; `undefended` and `chance`, accuracies in [0, 1] drawn as lines.

    >>> fig = plot_readings({"top-1": np.ones((2, 3))}, ["weak", "strong"], 0.9, 0.1)
    """
    fig = figure(x="accuracy of a single shadow", y="accuracy of the substitute, %", height=440)
    for number, (name, values) in enumerate(accuracy.items()):
        values = 100 * np.asarray(values, dtype=float)
        fig.add_bar(x=list(levels), y=values.mean(1).round(2), name=name, error_y=_bars(values),
                    marker={"color": CLASS_COLORS[number],
                            "pattern": {"shape": ("", "/", ".")[number % 3]}})  # fmt: skip
    for value, text in ((undefended, "honest answers"), (chance, "chance")):
        fig.add_hline(y=100 * value, line={"color": "#222", "dash": "dash"}, annotation_text=text)
    fig.update_xaxes(type="category")
    fig.update_yaxes(range=[0, 105])
    return fig.update_layout(barmode="group", legend=legend_above())


def _bars(values: np.ndarray) -> dict:
    return seed_whiskers(values, thickness=1.2, width=4)
