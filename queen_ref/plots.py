"""Figures: one palette, one template, and the words that figures share.

Numpy arrays go in, plotly figures come out. Plotly is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Ten classes that stay apart for colour-blind readers (Okabe-Ito, and two of Tol's);
# the marker says the class a second time.
CLASS_COLORS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9",
    "#D55E00", "#000000", "#999933", "#882255", "#888888",
)  # fmt: skip
CLASS_SYMBOLS = (
    "circle", "square", "diamond", "cross", "x",
    "triangle-up", "triangle-down", "star", "hexagon", "pentagon",
)  # fmt: skip
ROLES = {
    "victim": "#0072B2",
    "substitute": "#D55E00",
    "inside": "#56B4E9",
    "recorded": "#E69F00",
    "reversed": "#882255",
    "neutral": "#888888",
}
AXIS = {"showline": True, "linecolor": "#444", "gridcolor": "#e5e5e5", "zeroline": False,
        "ticks": "outside", "automargin": True}  # fmt: skip
AT_ONCE = {"mode": "immediate", "frame": {"duration": 0, "redraw": True},
           "transition": {"duration": 0}}  # fmt: skip


def figure(title: str = "", x: str = "", y: str = "", height: int = 430) -> Figure:
    """An empty figure in the book's style.

    Arguments: `title`, `x` and `y`, of the figure and its axes; `height`, in pixels, the width
    follows the page. The style is a template, so that the axes of further panels look the same.

    >>> fig = figure("Accuracy", x="queries", y="accuracy")
    >>> _ = fig.add_scatter(x=[1, 2], y=[0.5, 0.8], line_color=ROLES["substitute"])
    """
    import plotly.graph_objects as go  # optional: only figures need it

    style = {
        "xaxis": AXIS,
        "yaxis": AXIS,
        "colorway": CLASS_COLORS,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222"},
        "title": {"x": 0.02, "xanchor": "left", "font": {"size": 16}},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "margin": {"l": 60, "r": 20, "t": 50, "b": 55},
    }
    fig = go.Figure(layout={"template": {"layout": style}, "height": height})
    return fig.update_layout(title_text=title, xaxis_title_text=x, yaxis_title_text=y)


def legend_above(y: float = 1.02) -> dict[str, Any]:
    """A layout's legend: in one line above the plot, `y` in heights of the plot.

    >>> fig = figure().update_layout(legend=legend_above())
    """
    return {"orientation": "h", "x": 0, "y": y, "yanchor": "bottom"}


def whiskers(middle: Any, low: Any, high: Any, **style: Any) -> dict[str, Any]:
    """Error bars from `low` to `high` around `middle`, (N,) each; None in `middle` has none.

    >>> whiskers([2.0], [1.5], [4.0], thickness=1.5)
    {'array': [2.0], 'arrayminus': [0.5], 'thickness': 1.5}
    """
    if isinstance(middle, np.ndarray):
        return {"array": high - middle, "arrayminus": middle - low, **style}
    above = [None if m is None else top - m for m, top in zip(middle, high, strict=True)]
    below = [None if m is None else m - end for m, end in zip(middle, low, strict=True)]
    return {"array": above, "arrayminus": below, **style}


def seed_whiskers(values: np.ndarray, **style: Any) -> dict[str, Any]:
    """Error bars around the mean of (N, S) values, from the lowest to the highest of S seeds.

    >>> seed_whiskers(np.array([[1.0, 2.0, 6.0]]), width=5)["array"]
    array([3.])
    """
    bars = whiskers(values.mean(1), values.min(1), values.max(1), **style)
    return {"type": "data", "symmetric": False, **bars}


def scatter_classes(
    fig: Figure,
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str] | None = None,
    size: int = 6,
) -> Figure:
    """Add 2-D points, one trace a class; colour and marker (`size` pixels) tell the class.

    Arguments: `points`, (N, 2); `labels`, (N,) integers from 0 to 9; `names`, what the legend
    calls each class, by default ``class 0``, ``class 1``, ... Errors: `ValueError` for shapes that
    do not fit together and for another label.

    >>> fig = figure(x="z1", y="z2")
    >>> fig = scatter_classes(fig, np.zeros((3, 2)), np.array([0, 1, 1]))
    """
    points, labels = np.asarray(points), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1]:
        got = f"{points.shape} and {labels.shape}"
        raise ValueError(f"expected points (N, 2) and labels (N,), got {got}")
    if labels.size and not (0 <= labels.min() and labels.max() < len(CLASS_COLORS)):
        raise ValueError("expected labels from 0 to 9: the palette has ten colours")
    for k in np.unique(labels).tolist():
        chosen = points[labels == k]
        fig.add_scatter(
            x=chosen[:, 0],
            y=chosen[:, 1],
            mode="markers",
            name=names[k] if names is not None else f"class {k}",
            marker={"color": CLASS_COLORS[k], "symbol": CLASS_SYMBOLS[k], "size": size},
            opacity=0.7,
        )
    return fig


def add_disc(
    fig: Figure,
    center: np.ndarray,
    radius: float,
    color: str = ROLES["neutral"],
    name: str | None = None,
) -> Figure:
    """Add a circle, for example a class's sensitive region; give both axes one scale for it.

    Arguments: `center`, (2,), and `radius`, positive, in the units of the axes; `color` and
    `name`, of the line, without a name the legend leaves it out. Errors: `ValueError` for another
    shape or a radius that is not positive.

    >>> fig = add_disc(figure(), center=np.zeros(2), radius=1.0, name="sensitive region")
    >>> _ = fig.update_yaxes(scaleanchor="x")
    """
    center = np.asarray(center)
    if center.shape != (2,) or not radius > 0:
        raise ValueError(f"center must be (2,), radius positive; got {center.shape}, {radius}")
    angle = np.linspace(0.0, 2.0 * np.pi, 61)
    return fig.add_scatter(
        x=center[0] + radius * np.cos(angle),
        y=center[1] + radius * np.sin(angle),
        mode="lines",
        line={"color": color, "width": 1.5},
        name=name,
        showlegend=name is not None,
        hoverinfo="skip",
    )


def slider_steps(frames: Sequence[str], labels: Sequence[str]) -> list[dict[str, Any]]:
    """A slider's positions: each shows at once the frame of that name.

    >>> slider_steps(["r 1"], ["1"])[0]["args"][0]
    ['r 1']
    """
    return [{"label": label, "method": "animate", "args": [[frame], AT_ONCE]}
            for frame, label in zip(frames, labels, strict=True)]  # fmt: skip


def add_slider(
    fig: Figure, frames: Sequence[list], labels: Sequence, prefix: str = "", first: int = 0
) -> Figure:
    """Let a slider choose what the figure shows; it needs no kernel.

    Arguments: `fig`, which shows the frame `first`, where the slider stands before anybody moves
    it; `frames`, for each position the list of traces that replace the figure's first ones, in
    their order; `labels` and `prefix`, what the slider calls each position (all different), and
    before it. Errors: `ValueError` for fewer than two frames, not as many labels, two labels alike
    or no frame `first`.

    >>> frames = [[{"type": "scatter", "x": [0, 1], "y": [0, r]}] for r in (1, 2)]
    >>> fig = add_slider(figure().add_traces(frames[0]), frames, ["1", "2"], prefix="r = ")
    """
    labels = [str(label) for label in labels]
    if not (len(frames) == len(labels) == len(set(labels)) >= 2):
        raise ValueError(f"expected one label for each of 2+ frames; got {len(frames)}, {labels}")
    if not 0 <= first < len(frames):
        raise ValueError(f"first: expected 0 to {len(frames) - 1}, got {first}")
    fig.frames = [{"data": f, "name": label} for f, label in zip(frames, labels, strict=True)]
    # Below the title of the x axis.
    slider = {"steps": slider_steps(labels, labels), "active": first,
              "currentvalue": {"prefix": prefix}, "pad": {"t": 45, "b": 5}}  # fmt: skip
    fig.update_layout(sliders=[slider], height=(fig.layout.height or 430) + 70)
    return fig
