"""Figures: one palette, one template, and `show`, which also works in a page without Python.

Numpy arrays go in, plotly figures come out. Plotly is imported where it is used.
"""

from __future__ import annotations

import numpy as np

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


def figure(title: str = "", x: str = "", y: str = "", height: int = 430):
    """An empty figure in the book's style.

    Args:
        title, x, y: the figure's title and the labels of its axes.
        height: in pixels; the width follows the page.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Example:
        >>> fig = figure("Accuracy", x="queries", y="accuracy")
        >>> _ = fig.add_scatter(x=[1, 2], y=[0.5, 0.8], line_color=ROLES["substitute"])
    """
    import plotly.graph_objects as go

    axis = {"showline": True, "linecolor": "#444", "gridcolor": "#e5e5e5", "zeroline": False,
            "ticks": "outside", "automargin": True}  # fmt: skip
    # In a template, so that the axes of further panels look the same.
    style = {
        "xaxis": axis,
        "yaxis": axis,
        "colorway": CLASS_COLORS,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222"},
        "title": {"x": 0.02, "xanchor": "left", "font": {"size": 16}},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "margin": {"l": 60, "r": 20, "t": 50, "b": 55},
    }
    fig = go.Figure(layout={"template": {"layout": style}, "height": height})
    return fig.update_layout(title_text=title, xaxis_title_text=x, yaxis_title_text=y)


def scatter_classes(fig, points, labels, names=None, size: int = 6):
    """Add 2-D points, one trace a class; colour and marker (``size`` pixels) tell the class.

    Args:
        fig: the figure to add to; it is also returned.
        points: (N, 2) array.
        labels: (N,) integer classes, at most ten different ones.
        names: what the legend calls each class; ``class 0``, ``class 1``, ... by default.

    Raises:
        ValueError: the shapes do not fit together, or a label is not in 0 to 9.

    Example:
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


def add_disc(fig, center, radius: float, color: str = ROLES["neutral"], name: str | None = None):
    """Add a circle, for example a class's sensitive region; give both axes one scale for it.

    Args:
        fig: the figure to add to; it is also returned.
        center, radius: a (2,) array and a positive number, in the units of the axes.
        color, name: of the line; without a name the legend leaves it out.

    Raises:
        ValueError: the center has not two coordinates, or the radius is not positive.

    Example:
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


def add_slider(fig, frames, labels, prefix: str = "", first: int = 0):
    """Let a slider choose what the figure shows; it needs no kernel.

    Args:
        fig: a figure that shows the frame `first`; it is also returned.
        frames: for each position of the slider the list of traces that replace the figure's first
            ones, in their order.
        labels, prefix: what the slider calls each position (all different), and before it.
        first: where the slider stands before anybody moves it.

    Raises:
        ValueError: not as many labels as frames, fewer than two, two labels alike, or no frame
            `first`.

    Example:
        >>> frames = [[{"type": "scatter", "x": [0, 1], "y": [0, r]}] for r in (1, 2)]
        >>> fig = add_slider(figure().add_traces(frames[0]), frames, ["1", "2"], prefix="r = ")
    """
    labels = [str(label) for label in labels]
    if not (len(frames) == len(labels) == len(set(labels)) >= 2):
        raise ValueError(f"expected one label for each of 2+ frames; got {len(frames)}, {labels}")
    if not 0 <= first < len(frames):
        raise ValueError(f"first: expected 0 to {len(frames) - 1}, got {first}")
    now = {"mode": "immediate", "frame": {"duration": 0, "redraw": True},
           "transition": {"duration": 0}}  # fmt: skip
    fig.frames = [{"data": f, "name": label} for f, label in zip(frames, labels, strict=True)]
    steps = [{"label": label, "method": "animate", "args": [[label], now]} for label in labels]
    # Below the title of the x axis.
    slider = {"steps": steps, "active": first, "currentvalue": {"prefix": prefix},
              "pad": {"t": 45, "b": 5}}  # fmt: skip
    fig.update_layout(sliders=[slider], height=(fig.layout.height or 430) + 70)
    return fig
