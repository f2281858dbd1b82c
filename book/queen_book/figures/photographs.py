"""Figures of chapter 9: Tiny ImageNet among CIFAR-10's classes, and what a budget buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from queen_ref import plots
from queen_ref.queen.features import Clusters

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# How each kind of image is drawn: colour, marker, opacity.
KINDS = {
    "test images": (plots.CLASS_COLORS[0], "circle", 0.5),
    "tiny-imagenet": (plots.CLASS_COLORS[1], "diamond", 0.6),
    "noise": (plots.CLASS_COLORS[2], "cross", 0.6),
}


def plot_among_classes(record: Mapping[str, Any], height: int = 560) -> Figure:
    """UMAP of the victim's features: its own test images, foreign queries, and the centroids.

    Arguments: `record`, a seed of `photos-map.json` with points; `height` in pixels.

    >>> fig = plot_among_classes(photographs["seeds"][0])
    """
    fig = plots.figure("Foreign photographs lie among the classes", "UMAP 1", "UMAP 2", height)
    for name, points in record["points"].items():
        color, symbol, opacity = KINDS[name]
        at = np.array(points["umap"])
        share = f"{100 * record['inside'][name]:.0f} % inside"
        fig.add_scattergl(
            x=at[:, 0], y=at[:, 1], mode="markers", name=f"{name}, {share}", hoverinfo="skip",
            marker={"size": 5, "color": color, "symbol": symbol, "opacity": opacity},
        )  # fmt: skip
    marks = np.array(record["centroids"])
    fig.add_scatter(
        x=marks[:, 0], y=marks[:, 1], mode="markers+text", name="centroids", hoverinfo="skip",
        text=[f"<b>{name}</b>" for name in CLASSES], textposition="top center",
        marker={"size": 13, "color": "#000", "symbol": "x-thin", "line": {"width": 3}},
    )  # fmt: skip
    return fig.update_layout(legend=plots.legend_above(), margin_t=110, title_y=0.97)


def in_the_map(
    record: Mapping[str, Any],
) -> tuple[dict[str, tuple[torch.Tensor, torch.Tensor]], Clusters]:
    """The recorded points in the learned map, (N, 2) with labels (N,) by kind, and the discs.

    What `queen_book.figures.sensitivity.plot_pools_in_map` draws.

    >>> pools, clusters = in_the_map(photographs["seeds"][0])
    """
    pools = {
        name: (torch.tensor(points["map"]), torch.tensor(points["label"]))
        for name, points in record["points"].items()
    }
    return pools, Clusters(torch.tensor(record["centers"]), torch.tensor(record["radii"]))


def plot_budgets(
    curves: Mapping[str, Mapping[int, Sequence[float]]], title: str, height: int = 440
) -> Figure:
    """Accuracy of the copy against the number of queries: a line of means, a whisker of seeds.

    Arguments: `curves`, for each line the accuracies of the seeds by budget; `title`, what is
    seen; `height` in pixels.

    >>> fig = plot_budgets({"none": {300: [0.3, 0.35], 1000: [0.4, 0.45]}}, "More queries, more")
    """
    fig = plots.figure(title, "queries", "accuracy of the copy", height)
    for index, (name, curve) in enumerate(curves.items()):
        budgets = sorted(curve)
        means = [float(np.mean(curve[n])) for n in budgets]
        fig.add_scatter(
            x=budgets, y=[round(m, 4) for m in means], mode="lines+markers", name=name,
            line={"color": plots.CLASS_COLORS[index % 10],
                  "dash": ("solid", "dash", "dot")[index % 3]},
            marker={"symbol": plots.CLASS_SYMBOLS[index % 10], "size": 8},
            error_y=plots.whiskers(means, [min(curve[n]) for n in budgets],
                                   [max(curve[n]) for n in budgets], thickness=1, width=3),
        )  # fmt: skip
    fig.update_xaxes(type="log", tickvals=sorted({n for curve in curves.values() for n in curve}))
    return fig.update_layout(legend=plots.legend_above(), margin_t=100)
