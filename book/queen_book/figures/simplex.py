"""What every defence does to every answer: arrows on the triangle of three classes."""

from __future__ import annotations

import numpy as np
import torch

from queen_book.figures import triangle
from queen_book.three_classes import LIE, PROXY, STRENGTHS, TITLES, on_simplex, simplex_grid
from queen_ref.plots import figure, slider_steps

EMPTY = np.full((1, 3), np.nan)
# What decides where the arrows go, and is drawn with them: a name, and points (N, 3).
LANDMARKS = {
    "mad": ("p of the proxy", np.array([PROXY])),
    "am": ("the three lies", np.stack([np.roll(LIE, k) for k in range(3)])),
}


def plot_atlas(steps: int = 10, columns: int = 3):
    """Every defence at its default strength: an arrow from each posterior to its answer.

    The colour is the L1 distance that a point is moved. Arguments: `steps`, of
    `queen_book.three_classes.simplex_grid`; `columns`, panels in a row.

    >>> fig = plot_atlas()
    """
    names = list(STRENGTHS)
    rows = -(-len(names) // columns)
    fig = figure(height=235 * rows + 70)
    fig.set_subplots(rows, columns, subplot_titles=[TITLES[name] for name in names],
                     horizontal_spacing=0.02, vertical_spacing=0.06)  # fmt: skip
    for number, name in enumerate(names):
        panel = {"row": number // columns + 1, "col": number % columns + 1}
        fig.add_scatter(**triangle.outline(), **panel)
        drawn, landmark = _state(name, None, steps, size=7)
        fig.add_trace(drawn | {"showlegend": False}, **panel)
        fig.add_trace(landmark | {"showlegend": False}, **panel)
        triangle.hide_axes(fig, **panel)
        fig.update_yaxes(scaleanchor=f"x{number + 1}" if number else "x", **panel)
    fig.update_annotations(font_size=13)
    bar = triangle.color_bar(y=-0.02)
    return fig.update_layout(coloraxis=bar, margin={"t": 40, "l": 10, "r": 10, "b": 80})


def plot_strengths(steps: int = 10, start: str = "rounding"):
    """A menu chooses the defence, a slider its strength; works without a kernel.

    One frame for each defence and strength. Arguments: `steps`, of
    `queen_book.three_classes.simplex_grid`; `start`, the defence that is shown first, one that has
    a strength.

    >>> len(plot_strengths(steps=2).layout.sliders)
    8
    """
    fig = figure(height=520).add_traces(_state(start, None, steps, size=10))
    fig.add_scatter(**triangle.outline())
    triangle.name_corners(fig)
    strengths = {name: strength for name, strength in STRENGTHS.items() if strength}
    order = sorted(strengths, key=lambda name: name != start)
    fig.frames = [
        {"name": f"{name} {value:g}", "data": _state(name, value, steps, size=10)}
        for name in order
        for value in strengths[name].values
    ]
    sliders: list[dict] = []
    for name in order:
        strength = strengths[name]
        labels = [f"{value:g}" for value in strength.values]
        sliders.append(
            {"steps": slider_steps([f"{name} {label}" for label in labels], labels),
             "active": strength.values.index(strength.default), "visible": name == start,
             "currentvalue": {"prefix": f"{strength.symbol} = "}, "pad": {"t": 60, "b": 5}}
        )  # fmt: skip
    buttons = []
    for name, title in TITLES.items():
        change: dict[str, object] = {
            f"sliders[{i}].visible": name == order[i] for i in range(len(order))
        }
        if name in order:
            number = order.index(name)
            change[f"sliders[{number}].active"] = sliders[number]["active"]
        home = _restyle(_state(name, None, steps, size=10))
        buttons.append({"label": title, "method": "update", "args": [home, change, [0, 1]]})
    menu = {"buttons": buttons, "active": list(TITLES).index(start), "x": 0, "y": 1.12,
            "xanchor": "left", "yanchor": "top"}  # fmt: skip
    fig.update_layout(sliders=sliders, updatemenus=[menu], height=680, showlegend=True)
    fig.update_layout(legend={"x": 1, "xanchor": "right", "y": 1.12, "yanchor": "top"})
    return fig.update_layout(
        coloraxis=triangle.color_bar(), margin={"t": 70, "l": 10, "r": 10, "b": 60}
    )


def _state(name: str, strength: float | None, steps: int, size: int) -> list[dict]:
    """The two traces of a defence at a strength: its arrows, and its landmarks."""
    grid = simplex_grid(steps)
    # In a random order: ModelGuard-S answers the grid as a stream of queries.
    grid = grid[torch.randperm(len(grid), generator=torch.Generator().manual_seed(0))]
    answer = on_simplex(name, strength)
    drawn = triangle.arrows(grid.numpy(), answer(grid).numpy(), size)
    title, points = LANDMARKS.get(name, ("", EMPTY))
    if name == "modelguard-s":
        title, points = "codewords", answer.defense.codebook.numpy()
    return [drawn, triangle.marks(points, title, "#222", "star")]


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
