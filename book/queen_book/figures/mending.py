"""Figures of chapter 11: which false class a region names, and the walk of the drift gate."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from queen_book.figures.fates import circles
from queen_ref import plots
from queen_ref.queen.features import Clusters
from queen_ref.queen.gate import UNIT, Gate
from queen_ref.queen.hidden import false_classes, sides_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

REACH = 1.6  # how far the picture of a disc goes, in sensitive radii


def plot_regions_of_lies(
    clusters: Clusters, key: bytes, label: int, queries: Tensor, sides: Mapping[str, float]
) -> Figure:
    """One class's disc, and in each square around it the class that a hidden answer names.

    Arguments: `clusters`, centers and mean distances, with beta = 1; `key` of the hash; `label`,
    the class; `queries` (N, 2), map points of that label; `sides`, for each panel the side of a
    square in sensitive radii.

    >>> fig = plot_regions_of_lies(clusters, b"a key of 16 byte", 0, points, {"side s": 1.0})
    """
    fig = plots.figure(height=470).set_subplots(
        1, len(sides), subplot_titles=list(sides), horizontal_spacing=0.08
    )
    radius = float(clusters.radii[label])
    places = ((queries - clusters.centers[label]) / radius).cpu().numpy().round(3)
    rim_x, rim_y = circles(np.zeros((1, 2)), 1.0, 72)
    for panel, side in enumerate(sides.values(), start=1):
        at = {"row": 1, "col": panel}
        middles = np.arange(-REACH, REACH, side / 8) + side / 16
        middles = middles[np.abs(middles) < REACH]
        grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        named = false_classes(
            clusters.centers[label] + radius * torch.from_numpy(grid).to(clusters.centers),
            torch.full((len(grid),), label, device=clusters.centers.device),
            clusters.centers, sides_of(clusters.radii, side), key,
        )  # fmt: skip
        fig.add_heatmap(
            x=middles.round(3), y=middles.round(3),
            z=named.cpu().numpy().reshape(len(middles), -1), zmin=-0.5,
            zmax=len(plots.CLASS_COLORS) - 0.5, colorscale=_steps(plots.CLASS_COLORS), opacity=0.55,
            showscale=False, hovertemplate="told: class %{z}<extra></extra>", **at,
        )  # fmt: skip
        fig.add_scatter(
            x=places[:, 0], y=places[:, 1], mode="markers", name=f"queries of class {label}",
            marker={"color": "#222", "size": 3}, showlegend=panel == 1, hoverinfo="skip", **at,
        )  # fmt: skip
        fig.add_scatter(x=rim_x, y=rim_y, mode="lines", line={"color": "#222", "width": 2},
                        name="sensitive region", showlegend=panel == 1, hoverinfo="skip",
                        **at)  # fmt: skip
        fig.update_xaxes(range=[-REACH, REACH], title_text="in sensitive radii", constrain="domain",
                         showgrid=False, **at)  # fmt: skip
        anchor = "x" if panel == 1 else f"x{panel}"
        fig.update_yaxes(range=[-REACH, REACH], scaleanchor=anchor, constrain="domain",
                         showgrid=False, **at)  # fmt: skip
    legend = plots.legend_above(1.1) | {"itemsizing": "constant"}
    return fig.update_layout(legend=legend, margin_t=90).update_annotations(font_size=14)


def _steps(colors: tuple[str, ...]) -> list[list]:
    """A colour scale of equal steps: one colour a class."""
    count = len(colors)
    return [[edge / count, color] for n, color in enumerate(colors) for edge in (n, n + 1)]


def plot_walks(gate: Gate, bits: Mapping[str, Tensor], clients: int, seed: int = 0) -> Figure:
    """log L of some clients of each kind, query by query, between the floor and the alarm.

    Arguments: `gate`, Wald's test; `bits`, for each kind of client the gate's bits (M,) of the
    images that they draw from; `clients`, how many of each.

    >>> fig = plot_walks(Gate(0.5, 0.25), {"digits": torch.zeros(100).bool()}, clients=3)
    """
    fig = plots.figure("Foreign images climb, the own kind sinks", "number of the query",
                       "log L", height=440)  # fmt: skip
    draw = torch.Generator().manual_seed(seed)
    length = 150
    for (name, usual), color in zip(bits.items(), plots.CLASS_COLORS, strict=False):
        for client in range(clients):
            rows = torch.randint(len(usual), (length,), generator=draw)
            levels = gate.levels(usual.cpu()[rows]).double() / UNIT
            over = (levels >= gate.height / UNIT).nonzero().flatten()
            end = int(over[0]) + 1 if len(over) else length
            fig.add_scatter(
                x=np.arange(1, end + 1), y=levels[:end].numpy().round(2), mode="lines", name=name,
                legendgroup=name, showlegend=client == 0, line={"color": color, "width": 1.3},
                opacity=0.8, hoverinfo="skip",
            )  # fmt: skip
    high = log(1 / gate.alarm)
    for level, text, dash in ((high, "the alarm", "dash"), (-high, "the floor", "dot")):
        fig.add_hline(y=level, line={"color": "#222", "dash": dash, "width": 1.5},
                      annotation_text=text, annotation_position="bottom right")  # fmt: skip
    fig.update_yaxes(range=[-1.15 * high, 1.25 * high])
    return fig.update_layout(legend=plots.legend_above(), margin_t=90)
