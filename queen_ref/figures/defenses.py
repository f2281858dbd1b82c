"""What a defence does to an answer: maps of the simplex, and what they cost on real images."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from queen_ref.figures.reversal import CORNERS, flat
from queen_ref.plots import CLASS_COLORS, CLASS_SYMBOLS, ROLES, add_slider, figure
from queen_ref.simplex import LIE, PROXY, STRENGTHS, TITLES, on_simplex, simplex_grid

MOVED = [[0.0, "#cfe3f2"], [0.35, ROLES["victim"]], [0.7, ROLES["reversed"]], [1.0, "#3b0a26"]]
WHITE_TO_BLUE = [[0.0, "#ffffff"], [1.0, "#56B4E9"]]
EMPTY = np.full((1, 3), np.nan)
# What decides where the arrows go, and is drawn with them: a name, and points (N, 3).
LANDMARKS = {
    "mad": ("p of the proxy", np.array([PROXY])),
    "am": ("the three lies", np.stack([np.roll(LIE, k) for k in range(3)])),
}


def atlas(steps: int = 10, columns: int = 3):
    """Every defence at its default strength: an arrow from each posterior to its answer.

    Args:
        steps: of `queen_ref.simplex.simplex_grid`.
        columns: panels in a row.

    Returns:
        A ``plotly.graph_objects.Figure``; the colour is the L1 distance that a point is moved.

    Example:
        >>> fig = atlas()
    """
    names = list(STRENGTHS)
    rows = -(-len(names) // columns)
    fig = figure(height=235 * rows + 70)
    fig.set_subplots(rows, columns, subplot_titles=[TITLES[name] for name in names],
                     horizontal_spacing=0.02, vertical_spacing=0.06)  # fmt: skip
    for number, name in enumerate(names):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        fig.add_scatter(**_triangle(), **place)
        arrows, marks = _state(name, None, steps, size=7)
        fig.add_trace(arrows | {"showlegend": False}, **place)
        fig.add_trace(marks | {"showlegend": False}, **place)
        _hide_axes(fig, **place)
        fig.update_yaxes(scaleanchor=f"x{number + 1}" if number else "x", **place)
    fig.update_annotations(font_size=13)
    bar = _bar(y=-0.02)
    return fig.update_layout(coloraxis=bar, margin={"t": 40, "l": 10, "r": 10, "b": 80})


def strengths_figure(steps: int = 10, start: str = "rounding"):
    """A menu chooses the defence, a slider its strength; works without a kernel.

    Args:
        steps: of `queen_ref.simplex.simplex_grid`.
        start: the defence that is shown first; it must have a strength.

    Returns:
        A ``plotly.graph_objects.Figure`` with one frame for each defence and strength.

    Example:
        >>> len(strengths_figure(steps=2).layout.sliders)
        8
    """
    fig = figure(height=520).add_traces(_state(start, None, steps, size=10))
    fig.add_scatter(**_triangle())
    _name_corners(fig)
    now = {"mode": "immediate", "frame": {"duration": 0, "redraw": True},
           "transition": {"duration": 0}}  # fmt: skip
    order = sorted((name for name in STRENGTHS if STRENGTHS[name]), key=lambda name: name != start)
    fig.frames = [
        {"name": f"{name} {value:g}", "data": _state(name, value, steps, size=10)}
        for name in order
        for value in STRENGTHS[name].values
    ]
    sliders = []
    for name in order:
        strength = STRENGTHS[name]
        sliders.append(
            {"steps": [{"label": f"{value:g}", "method": "animate",
                        "args": [[f"{name} {value:g}"], now]} for value in strength.values],
             "active": strength.values.index(strength.default), "visible": name == start,
             "currentvalue": {"prefix": f"{strength.symbol} = "}, "pad": {"t": 60, "b": 5}}
        )  # fmt: skip
    buttons = []
    for name, title in TITLES.items():
        change = {f"sliders[{i}].visible": name == order[i] for i in range(len(order))}
        if name in order:
            number = order.index(name)
            change[f"sliders[{number}].active"] = sliders[number]["active"]
        home = _restyle(_state(name, None, steps, size=10))
        buttons.append({"label": title, "method": "update", "args": [home, change, [0, 1]]})
    menu = {"buttons": buttons, "active": list(TITLES).index(start), "x": 0, "y": 1.12,
            "xanchor": "left", "yanchor": "top"}  # fmt: skip
    fig.update_layout(sliders=sliders, updatemenus=[menu], height=680, showlegend=True)
    fig.update_layout(legend={"x": 1, "xanchor": "right", "y": 1.12, "yanchor": "top"})
    return fig.update_layout(coloraxis=_bar(), margin={"t": 70, "l": 10, "r": 10, "b": 60})


def turning_film(path, epsilon: float = 1.0):
    """MAD's choice: where the gradient of y points, and which vertex turns it farthest.

    Args:
        path: (T, 3) values of y with different first entries, T >= 2.
        epsilon: the L1 budget of the answer.

    Returns:
        A ``plotly.graph_objects.Figure`` with one frame for each y.

    Example:
        >>> fig = turning_film(np.array([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]]))
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
            _stroke([p, y], ROLES["victim"], "from p to y"),
            _stroke([p, allowed[turns.argmin()]], ROLES["reversed"], "from p to the chosen v"),
            _stroke([y, answer], "#222", "from y to the answer", "dot"),
            _points(allowed, "vertices with the label, cosine", "#888888", "square", texts),
            _points(y[None], "y", ROLES["victim"], "circle"),
            _points(answer[None], "y', the answer", ROLES["substitute"], "diamond"),
        ])  # fmt: skip
    fig = figure(height=500).add_traces(frames[0])
    fig.add_scatter(**_triangle())
    fig.add_trace(_points(p[None], "p of the proxy", "#222", "x"))
    _name_corners(fig)
    fig.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    fig = add_slider(fig, frames, [f"{y[0]:.2f}" for y in probs.tolist()], prefix="y of class 1: ")
    fig.layout.sliders[0].pad = {"t": 15, "b": 5}
    return fig.update_layout(margin={"t": 20, "l": 10, "r": 10})


def codebook_film(probs, orders: dict, counts, epsilon: float = 1.0):
    """ModelGuard-S answers the same queries in two orders; a slider says how many so far.

    Args:
        probs: (N, 3) posteriors.
        orders: name -> (N,) a permutation of the rows; two of them.
        counts: numbers of queries at the slider's positions, increasing.
        epsilon: the L1 budget.

    Returns:
        A ``plotly.graph_objects.Figure`` with one frame for each count.

    Example:
        >>> p = np.full((2, 3), 1 / 3)
        >>> fig = codebook_film(p, {"as drawn": [0, 1], "reversed": [1, 0]}, [1, 2])
    """
    probs = torch.as_tensor(np.asarray(probs, dtype=float))
    frames = [[] for _ in counts]
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
            arrows = _arrows(sent[:count].numpy(), answers[:count].numpy(), 7, tail=4)
            frame += [arrows | axes, _points(there, "codewords", "#222", "star") | axes]
    fig = figure(height=400)
    fig.set_subplots(1, len(orders), subplot_titles=list(orders), horizontal_spacing=0.03)
    fig.add_traces(frames[-1])
    for panel in range(len(orders)):
        place = {"row": 1, "col": panel + 1}
        fig.add_scatter(**_triangle(), **place)
        _hide_axes(fig, **place)
        fig.update_yaxes(scaleanchor=f"x{panel + 1}" if panel else "x", **place)
    fig = add_slider(fig, frames, counts, prefix="queries so far: ")
    fig.layout.sliders[0].update(active=len(counts) - 1, pad={"t": 15, "b": 5})
    fig.update_layout(coloraxis=_bar(), coloraxis_showscale=False)
    fig.update_layout(legend={"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0})
    return fig.update_layout(margin={"t": 75, "l": 10, "r": 10})


def sigmoid_curves(betas, gamma: float = 0.2):
    """Reverse Sigmoid for two classes: y' against y, one curve for each beta.

    Args:
        betas: (M,) numbers.
        gamma: how steep.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Example:
        >>> fig = sigmoid_curves([0.21, 0.6])
    """
    from queen_ref.defenses import ReverseSigmoid

    fig = figure(x="y, the victim's probability of class 1", y="y', the answer's", height=420)
    # Close together at both ends, where the curve turns.
    y = torch.sigmoid(torch.linspace(-9, 9, 181, dtype=torch.float64))
    pair = torch.stack([y, 1 - y], 1)
    for number, beta in enumerate(betas):
        moved = ReverseSigmoid(None, beta, gamma).simulate(torch.zeros(len(y), 1, 1, 1), pair)
        fig.add_scatter(x=y.numpy().round(4), y=moved[:, 0].numpy().round(4), mode="lines",
                        name=f"beta = {beta:g}",
                        line={"color": CLASS_COLORS[number],
                              "dash": ("solid", "dash", "dot")[number % 3]})  # fmt: skip
    fig.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="no defence",
                    line={"color": "#888", "width": 1})  # fmt: skip
    return fig.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})


def answer_maps(images, answers: dict, start: int = 0):
    """Real images and every answer to them, as numbers; a slider chooses the image.

    Args:
        images: (N, H, W) grey values in [0, 1].
        answers: name -> (N, K) on the simplex.
        start: the image that is shown first.

    Returns:
        A ``plotly.graph_objects.Figure`` with one frame for each image.

    Example:
        >>> fig = answer_maps(np.zeros((2, 28, 28)), {"none": np.full((2, 10), 0.1)})
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


def confidence_histograms(groups: dict, tau: float):
    """How sure two victims are, one panel for each kind of image.

    Args:
        groups: kind of image -> {victim's name -> (N,) largest probabilities}.
        tau: the confidence below which adaptive misinformation lies.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Example:
        >>> fig = confidence_histograms({"noise": {"plain": [0.4], "exposed": [0.1]}}, tau=0.7)
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
    return fig.update_layout(
        barmode="group", bargap=0.1, margin_t=60,
        legend={"orientation": "h", "y": 1.06, "yanchor": "bottom", "x": 0},
    )  # fmt: skip


def codebook_growth(curves: dict):
    """Entries of a codebook against the queries answered.

    Args:
        curves: name -> list of (queries (M,), entries (M,)), one for each run.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Example:
        >>> fig = codebook_growth({"epsilon = 1": [([1, 2], [1, 2])]})
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
    return fig.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})


def prices(values: dict, names):
    """What defences cost: one panel a measure, a point a seed, a bar at the mean.

    Args:
        values: measure, with its unit -> (D, S) numbers of D defences and S seeds.
        names: the D defences.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Example:
        >>> fig = prices({"mean L1": [[0.0, 0.0], [1.0, 0.9]]}, ["none", "mad"])
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


def _state(name: str, strength: float | None, steps: int, size: int) -> list[dict]:
    """The two traces of a defence at a strength: its arrows, and its landmarks."""
    grid = simplex_grid(steps)
    # In a random order: ModelGuard-S answers the grid as a stream of queries.
    grid = grid[torch.randperm(len(grid), generator=torch.Generator().manual_seed(0))]
    answer = on_simplex(name, strength)
    arrows = _arrows(grid.numpy(), answer(grid).numpy(), size)
    landmark, points = LANDMARKS.get(name, ("", EMPTY))
    if name == "modelguard-s":
        landmark, points = "codewords", answer.defense.codebook.numpy()
    return [arrows, _points(points, landmark, "#222", "star")]


def _arrows(start: np.ndarray, end: np.ndarray, size: int, tail: int = 0) -> dict:
    """One trace of three points an arrow: where it starts, where it ends, and a gap."""
    moved = np.abs(end - start).sum(1)
    gap = np.full((len(start), 2), np.nan)
    x, y = np.stack([flat(start), flat(end), gap], 1).reshape(-1, 2).T.round(4)
    heads = np.where(moved > 0.03, "arrow", "circle")
    texts = [f"({', '.join(f'{v:.2f}' for v in a)}) → ({', '.join(f'{v:.2f}' for v in b)}), "
             f"L1 {d:.2f}" for a, b, d in zip(start, end, moved, strict=True)]  # fmt: skip
    return {
        "type": "scatter", "x": x, "y": y, "mode": "lines+markers", "name": "from y to y'",
        "line": {"color": "rgba(90,90,90,0.45)", "width": 1}, "connectgaps": False,
        "text": [part for text in texts for part in ("", text, "")],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": [tail, size, 0] * len(start), "angleref": "previous", "opacity": 1,
                   "symbol": [part for head in heads for part in ("circle", str(head), "circle")],
                   "coloraxis": "coloraxis", "color": np.repeat(moved, 3).round(3),
                   "line": {"width": 0}},
    }  # fmt: skip


def _points(points, name: str, color: str, symbol: str, texts=None) -> dict:
    x, y = flat(np.asarray(points)).T.round(4)
    return {"type": "scatter", "x": x, "y": y, "mode": "markers+text" if texts else "markers",
            "name": name, "showlegend": bool(name), "text": texts, "textposition": "top center",
            "hoverinfo": "name", "marker": {"color": color, "symbol": symbol, "size": 12,
            "line": {"color": "#fff", "width": 1}}}  # fmt: skip


def _stroke(points, color: str, name: str, dash: str = "solid") -> dict:
    x, y = flat(torch.stack(list(points)).numpy()).T.round(4)
    return {"type": "scatter", "x": x, "y": y, "mode": "lines", "name": name,
            "hoverinfo": "skip", "line": {"color": color, "dash": dash, "width": 2.5}}  # fmt: skip


def _triangle() -> dict:
    x, y = CORNERS[[0, 1, 2, 0]].T.round(4)
    return {"x": x, "y": y, "mode": "lines", "showlegend": False, "hoverinfo": "skip",
            "line": {"color": "#222", "width": 1.5}}  # fmt: skip


def _hide_axes(fig, **place) -> None:
    fig.update_xaxes(visible=False, range=[-0.06, 1.06], constrain="domain", **place)
    fig.update_yaxes(visible=False, range=[-0.07, 0.95], constrain="domain", **place)


def _name_corners(fig) -> None:
    _hide_axes(fig)
    fig.update_yaxes(scaleanchor="x")
    for k, (x, y) in enumerate(CORNERS):
        fig.add_annotation(x=x, y=y, text=f"class {k + 1}", showarrow=False,
                           yshift=14 if k == 2 else -14)  # fmt: skip


def _bar(y: float = 0.0) -> dict:
    bar = {"title": {"text": "L1 distance moved", "side": "top"}, "orientation": "h", "x": 0.5,
           "xanchor": "center", "y": y, "yanchor": "top", "len": 0.5, "thickness": 10}  # fmt: skip
    return {"colorscale": MOVED, "cmin": 0, "cmax": 2, "colorbar": bar}


def _restyle(traces: list[dict]) -> dict:
    """Two traces as the first argument of a button; arrays as plain lists, nan as None."""
    found: dict = {}
    for trace in traces:
        flattened = {key: trace[key] for key in ("x", "y", "text", "name")}
        flattened["showlegend"] = trace.get("showlegend", True)
        flattened |= {f"marker.{key}": trace["marker"][key] for key in ("size", "symbol", "color")}
        for key, value in flattened.items():
            if isinstance(value, np.ndarray):
                value = [None if v != v else v for v in value.tolist()]
            found.setdefault(key, []).append(value)
    return found
