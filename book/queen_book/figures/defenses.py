"""What single defences do to an answer, and what they cost on real images."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from queen_book.figures import triangle
from queen_book.three_classes import PROXY, on_simplex
from queen_ref.defenses import ReverseSigmoid
from queen_ref.plots import (
    CLASS_COLORS,
    CLASS_SYMBOLS,
    ROLES,
    add_slider,
    figure,
    legend_above,
)

WHITE_TO_BLUE = [[0.0, "#ffffff"], [1.0, "#56B4E9"]]


def plot_turning_film(path, epsilon: float = 1.0):
    """MAD's choice: where the gradient of y points, and which vertex turns it farthest.

    One frame for each y. Arguments: `path`, (T, 3) values of y with different first entries,
    T >= 2; `epsilon`, the L1 budget of the answer.

    >>> fig = plot_turning_film(np.array([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]]))
    """
    probs = torch.as_tensor(np.asarray(path, dtype=float))
    p = torch.tensor(PROXY, dtype=probs.dtype)
    sets = torch.tensor([[number >> k & 1 for k in range(3)] for number in range(1, 8)])
    vertices = (sets / sets.sum(1, keepdim=True)).to(probs)
    frames = []
    for y, answer in zip(probs, on_simplex("mad", epsilon)(probs), strict=True):
        allowed = vertices[vertices[:, y.argmax()] > 0]
        turns = F.cosine_similarity(p - allowed, (p - y)[None])
        texts = [f"{value:+.2f}" for value in turns.tolist()]
        frames.append([
            triangle.stroke([p, y], ROLES["victim"], "from p to y"),
            triangle.stroke(
                [p, allowed[turns.argmin()]], ROLES["reversed"], "from p to the chosen v"
            ),
            triangle.stroke([y, answer], "#222", "from y to the answer", "dot"),
            triangle.marks(allowed, "vertices with the label, cosine", "#888888", "square", texts),
            triangle.marks(y[None], "y", ROLES["victim"], "circle"),
            triangle.marks(answer[None], "y', the answer", ROLES["substitute"], "diamond"),
        ])  # fmt: skip
    fig = figure(height=500).add_traces(frames[0])
    fig.add_scatter(**triangle.outline())
    fig.add_trace(triangle.marks(p[None], "p of the proxy", "#222", "x"))
    triangle.name_corners(fig)
    fig.update_layout(legend=legend_above())
    fig = add_slider(fig, frames, [f"{y[0]:.2f}" for y in probs.tolist()], prefix="y of class 1: ")
    fig.layout.sliders[0].pad = {"t": 15, "b": 5}
    return fig.update_layout(margin={"t": 20, "l": 10, "r": 10})


def plot_codebook_film(probs, orders: dict, counts, epsilon: float = 1.0):
    """ModelGuard-S answers the same queries in two orders; a slider says how many so far.

    One frame for each count. Arguments: `probs`, (N, 3) posteriors; `orders`, name -> (N,) a
    permutation of the rows, two of them; `counts`, numbers of queries at the slider's positions,
    increasing; `epsilon`, the L1 budget.

    >>> p = np.full((2, 3), 1 / 3)
    >>> fig = plot_codebook_film(p, {"as drawn": [0, 1], "reversed": [1, 0]}, [1, 2])
    """
    probs = torch.as_tensor(np.asarray(probs, dtype=float))
    frames: list[list[dict]] = [[] for _ in counts]
    for panel, order in enumerate(orders.values()):
        sent = probs[torch.tensor(list(order))]
        answer = on_simplex("modelguard-s", epsilon)
        answers = answer(sent)
        axes = {"xaxis": f"x{panel + 1}", "yaxis": f"y{panel + 1}", "showlegend": panel == 0}
        book = answer.defense.codebook
        # An entry is there from the query on that brought it.
        since = [int((sent == entry).all(1).nonzero()[0, 0]) for entry in book]
        for frame, count in zip(frames, counts, strict=True):
            there = book[[i for i, first in enumerate(since) if first < count]]
            drawn = triangle.arrows(sent[:count].numpy(), answers[:count].numpy(), 7, tail=4)
            frame += [drawn | axes, triangle.marks(there, "codewords", "#222", "star") | axes]
    fig = figure(height=400)
    fig.set_subplots(1, len(orders), subplot_titles=list(orders), horizontal_spacing=0.03)
    fig.add_traces(frames[-1])
    for panel in range(len(orders)):
        where = {"row": 1, "col": panel + 1}
        fig.add_scatter(**triangle.outline(), **where)
        triangle.hide_axes(fig, **where)
        fig.update_yaxes(scaleanchor=f"x{panel + 1}" if panel else "x", **where)
    fig = add_slider(fig, frames, counts, prefix="queries so far: ")
    fig.layout.sliders[0].update(active=len(counts) - 1, pad={"t": 15, "b": 5})
    fig.update_layout(coloraxis=triangle.color_bar(), coloraxis_showscale=False)
    fig.update_layout(legend=legend_above(1.1))
    return fig.update_layout(margin={"t": 75, "l": 10, "r": 10})


def plot_sigmoid_curves(betas, gamma: float = 0.2):
    """Reverse Sigmoid for two classes: y' against y, one curve for each beta.

    Arguments: `betas`, (M,) numbers; `gamma`, how steep.

    >>> fig = plot_sigmoid_curves([0.21, 0.6])
    """
    fig = figure(x="y, the victim's probability of class 1", y="y', the answer's", height=420)
    # Close together at both ends, where the curve turns.
    y = torch.sigmoid(torch.linspace(-9, 9, 181, dtype=torch.float64))
    pair = torch.stack([y, 1 - y], 1)
    blank = torch.zeros(len(y), 1, 1, 1)  # it looks at no image
    for number, beta in enumerate(betas):
        moved = ReverseSigmoid(torch.nn.Identity(), beta, gamma).simulate(blank, pair)
        fig.add_scatter(x=y.numpy().round(4), y=moved[:, 0].numpy().round(4), mode="lines",
                        name=f"beta = {beta:g}",
                        line={"color": CLASS_COLORS[number],
                              "dash": ("solid", "dash", "dot")[number % 3]})  # fmt: skip
    fig.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="no defence",
                    line={"color": "#888", "width": 1})  # fmt: skip
    return fig.update_layout(legend=legend_above())


def plot_answer_maps(images, answers: dict, start: int = 0):
    """Real images and every answer to them, as numbers; a slider chooses the image.

    One frame for each image. Arguments: `images`, (N, H, W) grey values in [0, 1]; `answers`, name
    -> (N, K) on the simplex; `start`, the image that is shown first.

    >>> fig = plot_answer_maps(np.zeros((2, 28, 28)), {"none": np.full((2, 10), 0.1)})
    """
    names = list(answers)
    frames = []
    for number, image in enumerate(np.asarray(images)):
        values = np.stack([np.asarray(answers[name])[number] for name in names])
        texts = [[f"{100 * v:.0f}" if v >= 0.005 else "" for v in row] for row in values]
        frames.append([
            {"type": "heatmap", "z": image.round(2), "colorscale": "Greys", "showscale": False,
             "zmin": 0, "zmax": 1, "hoverinfo": "skip", "xaxis": "x", "yaxis": "y"},
            {"type": "heatmap", "z": values.round(4), "y": names, "text": texts,
             "texttemplate": "%{text}", "colorscale": WHITE_TO_BLUE, "zmin": 0, "zmax": 1,
             "showscale": False, "xgap": 1, "ygap": 1, "xaxis": "x2", "yaxis": "y2",
             "hovertemplate": "%{y}, class %{x}: %{z}<extra></extra>"},
        ])  # fmt: skip
    fig = figure(height=35 * len(names) + 110)
    fig.set_subplots(1, 2, column_widths=[0.2, 0.8], horizontal_spacing=0.19)
    fig.add_traces(frames[start])
    fig.update_yaxes(autorange="reversed", showgrid=False)
    fig.update_xaxes(visible=False, constrain="domain", row=1, col=1)
    fig.update_yaxes(visible=False, scaleanchor="x", constrain="domain", row=1, col=1)
    fig.update_xaxes(title_text="class (numbers in %)", dtick=1, showgrid=False, row=1, col=2)
    fig = add_slider(fig, frames, range(1, len(frames) + 1), prefix="image ")
    fig.layout.sliders[0].active = start
    return fig.update_layout(margin={"t": 15, "l": 10, "r": 10})


def plot_confidence_histograms(groups: dict, tau: float):
    """How sure two victims are, one panel for each kind of image.

    Arguments: `groups`, kind of image -> victim's name -> (N,) largest probabilities; `tau`, the
    confidence below which adaptive misinformation lies.

    >>> groups = {"noise": {"plain": [0.4], "exposed": [0.1]}}
    >>> fig = plot_confidence_histograms(groups, tau=0.7)
    """
    fig = figure(height=135 * len(groups) + 80)
    fig.set_subplots(len(groups), 1, shared_xaxes=True, subplot_titles=list(groups),
                     vertical_spacing=0.07)  # fmt: skip
    edges = np.linspace(0, 1, 21)
    for row, victims in enumerate(groups.values(), start=1):
        for number, (name, values) in enumerate(victims.items()):
            values = np.clip(np.asarray(values, dtype=float), 0, 1)
            share = 100 * np.histogram(values, edges)[0] / len(values)
            fig.add_bar(x=(edges[1:] + edges[:-1]) / 2, y=share.round(2), name=name,
                        legendgroup=name, showlegend=row == 1, row=row, col=1,
                        marker_color=(ROLES["neutral"], ROLES["victim"])[number])  # fmt: skip
        fig.add_vline(x=tau, line={"color": "#222", "dash": "dash"}, row=row, col=1)
        fig.update_yaxes(title_text="% of images", range=[0, 105], row=row, col=1)
    fig.add_annotation(x=tau, y=1, yref="y domain", text="lies ← tau", showarrow=False,
                       xanchor="right", xshift=-4, yanchor="top")  # fmt: skip
    fig.update_xaxes(range=[0, 1])
    fig.update_xaxes(title_text="largest probability of the victim", row=len(groups), col=1)
    return fig.update_layout(barmode="group", bargap=0.1, margin_t=60, legend=legend_above(1.06))


def plot_codebook_growth(curves: dict):
    """Entries of a codebook against the queries answered.

    Arguments: `curves`, name -> list of (queries (M,), entries (M,)), one for each run.

    >>> fig = plot_codebook_growth({"epsilon = 1": [([1, 2], [1, 2])]})
    """
    fig = figure(x="queries answered", y="entries of the codebook", height=400)
    for number, (name, runs) in enumerate(curves.items()):
        for run, (queries, entries) in enumerate(runs):
            fig.add_scatter(x=np.asarray(queries), y=np.asarray(entries), name=name, mode="lines",
                            legendgroup=name, showlegend=run == 0,
                            line={"color": CLASS_COLORS[number], "width": 1.5, "shape": "hv",
                                  "dash": ("solid", "dash", "dot")[number % 3]})  # fmt: skip
    fig.update_xaxes(type="log", dtick=1)
    fig.update_yaxes(type="log", dtick=1)
    return fig.update_layout(legend=legend_above())


def plot_prices(values: dict, names):
    """What defences cost: one panel a measure, a point a seed, a bar at the mean.

    Arguments: `values`, measure, with its unit -> (D, S) numbers of D defences and S seeds;
    `names`, the D defences.

    >>> fig = plot_prices({"mean L1": [[0.0, 0.0], [1.0, 0.9]]}, ["none", "mad"])
    """
    fig = figure(height=34 * len(names) + 125)
    fig.set_subplots(1, len(values), shared_yaxes=True, horizontal_spacing=0.04)
    for column, (measure, table) in enumerate(values.items(), start=1):
        table = np.asarray(table, dtype=float)
        color, symbol = CLASS_COLORS[column - 1], CLASS_SYMBOLS[column - 1]
        fig.add_bar(x=table.mean(1).round(4), y=list(names), orientation="h", opacity=0.35,
                    marker_color=color, hovertemplate="%{y}: %{x:.3f}<extra></extra>",
                    row=1, col=column)  # fmt: skip
        fig.add_scatter(x=table.flatten().round(4), y=np.repeat(list(names), table.shape[1]),
                        mode="markers", marker={"color": color, "symbol": symbol, "size": 7},
                        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
                        row=1, col=column)  # fmt: skip
        fig.update_xaxes(title_text=measure.replace(" ", "<br>", 1), row=1, col=column)
    fig.update_yaxes(autorange="reversed", showgrid=False)
    return fig.update_layout(showlegend=False, margin={"t": 15, "l": 110})
