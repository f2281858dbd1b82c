"""The simplex of three classes as a triangle: points, lines and arrows drawn on it."""

from __future__ import annotations

import numpy as np

from queen_ref import plots

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
MOVED = [
    [0.0, "#cfe3f2"],
    [0.35, plots.ROLES["victim"]],
    [0.7, plots.ROLES["reversed"]],
    [1.0, "#3b0a26"],
]


def flat(points) -> np.ndarray:
    """Points of the plane sum = 1 in three dimensions, drawn flat.

    Arguments: `points`, (N, 3) with rows that sum to 1; entries may be negative. Returns (N, 2):
    the three corners of the simplex form a triangle with side 1.

    >>> flat(np.eye(3)).round(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.5, 0.87]]
    """
    return np.asarray(points, dtype=float) @ CORNERS


def bend(start, middle, end, steps: int = 25) -> np.ndarray:
    """A curve of probabilities from `start` to `end`, pulled towards `middle`.

    Arguments: `start`, `middle` and `end`, (K,) on the simplex; `steps`, number of points, at least
    2. Returns (steps, K), rows on the simplex.

    >>> bend([1, 0], [0.5, 0.5], [0, 1], steps=3).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    u = np.linspace(0.0, 1.0, steps)[:, None]
    start, middle, end = (np.asarray(point, dtype=float) for point in (start, middle, end))
    return (1 - u) ** 2 * start + 2 * u * (1 - u) * middle + u**2 * end


def arrows(start: np.ndarray, end: np.ndarray, size: int, tail: int = 0) -> dict:
    """Arrows between points, one trace; the colour is the L1 distance of start and end.

    An arrow is three points: its start, its end, and a gap. Arguments: `start` and `end`, (N, 3) on
    the simplex; `size`, of the heads, and `tail`, of the mark where an arrow starts, in pixels.

    >>> len(arrows(np.eye(3), np.eye(3)[::-1], size=7)["x"])
    9
    """
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


def marks(points, name: str, color: str, symbol: str, texts=None) -> dict:
    """Points (N, 3) as one trace, with a text above each if there are `texts`.

    >>> marks(np.eye(3), "vertices", "#222", "star")["mode"]
    'markers'
    """
    x, y = flat(np.asarray(points)).T.round(4)
    return {"type": "scatter", "x": x, "y": y, "mode": "markers+text" if texts else "markers",
            "name": name, "showlegend": bool(name), "text": texts, "textposition": "top center",
            "hoverinfo": "name", "marker": {"color": color, "symbol": symbol, "size": 12,
            "line": {"color": "#fff", "width": 1}}}  # fmt: skip


def stroke(points, color: str, name: str, dash: str = "solid") -> dict:
    """A line through points (N, 3) as one trace.

    >>> stroke(np.eye(3)[:2], "#222", "an edge")["x"].tolist()
    [0.0, 1.0]
    """
    x, y = flat(np.stack([np.asarray(point) for point in points])).T.round(4)
    return {"type": "scatter", "x": x, "y": y, "mode": "lines", "name": name,
            "hoverinfo": "skip", "line": {"color": color, "dash": dash, "width": 2.5}}  # fmt: skip


def outline() -> dict:
    """The triangle itself, as one trace.

    >>> fig = plots.figure().add_scatter(**outline())
    """
    x, y = CORNERS[[0, 1, 2, 0]].T.round(4)
    return {"x": x, "y": y, "mode": "lines", "showlegend": False, "hoverinfo": "skip",
            "line": {"color": "#222", "width": 1.5}}  # fmt: skip


def hide_axes(fig, **panel) -> None:
    """Leave the axes of a panel (`row`, `col`) out, and room around the triangle.

    >>> hide_axes(plots.figure())
    """
    fig.update_xaxes(visible=False, range=[-0.06, 1.06], constrain="domain", **panel)
    fig.update_yaxes(visible=False, range=[-0.07, 0.95], constrain="domain", **panel)


def name_corners(fig) -> None:
    """Write class 1, 2 and 3 at the corners of a figure of one panel, without axes.

    >>> name_corners(plots.figure())
    """
    hide_axes(fig)
    fig.update_yaxes(scaleanchor="x")
    for k, (x, y) in enumerate(CORNERS):
        fig.add_annotation(x=x, y=y, text=f"class {k + 1}", showarrow=False,
                           yshift=14 if k == 2 else -14)  # fmt: skip


def color_bar(y: float = 0.0) -> dict:
    """Colours of the L1 distance, 0 to 2, and their bar at height `y`: a layout's coloraxis.

    >>> fig = plots.figure().update_layout(coloraxis=color_bar())
    """
    bar = {"title": {"text": "L1 distance moved", "side": "top"}, "orientation": "h", "x": 0.5,
           "xanchor": "center", "y": y, "yanchor": "top", "len": 0.5, "thickness": 10}  # fmt: skip
    return {"colorscale": MOVED, "cmin": 0, "cmax": 2, "colorbar": bar}
