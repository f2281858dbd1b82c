"""Figures of chapter 2: the feature space, the learned map, its clusters and their regions.

Tensors or arrays go in, plotly figures come out. Plotly and umap are imported where they are
used.
"""

from __future__ import annotations

import math
import warnings
from textwrap import wrap

import numpy as np

from queen_ref import plots
from queen_ref.queen.features import Clusters

UMAP_LIMIT = 1500  # points; beyond that a notebook on a laptop gets slow


def feature_umap(features, centroids, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """UMAP of features and their centroids in one picture, the same for the same seed.

    Arguments: `features`, (N, D), at most 1500 rows; `centroids`, (K, D). Returns both mapped,
    (N, 2) and (K, 2). Errors: `ValueError` for more rows.

    >>> points, marks = feature_umap(features, centroids, seed=0)
    """
    if len(features) > UMAP_LIMIT:
        raise ValueError(f"expected at most {UMAP_LIMIT} features, got {len(features)}")
    with warnings.catch_warnings():
        # umap says that its TensorFlow part is missing; we do not use it.
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP  # optional, and slow to import
    rows = np.concatenate([_array(features), _array(centroids)])
    # A fixed random state means one job; saying so keeps umap from warning about it.
    points = UMAP(random_state=seed, n_jobs=1).fit_transform(rows)
    return points[: len(features)], points[len(features) :]


def loss_range(count: int, batch_size: int, num_classes: int) -> tuple[float, float]:
    """The contrastive loss of a map that sends everything to one point, and a bound from below.

    Both for batches of n out of `count` samples, of classes equally frequent: log(n - 1) and
    log(n / K - 1), averaged over the batches of an epoch as `fit_feature_map` averages.

    >>> chance, floor = loss_range(2500, batch_size=512, num_classes=10)
    """
    full, rest = divmod(count, batch_size)
    sizes = [batch_size] * full + [rest] * (rest > 0)
    chance = sum(n * math.log(n - 1) for n in sizes) / count
    floor = sum(n * math.log(max(n / num_classes - 1, 1)) for n in sizes) / count
    return chance, floor


def plot_loss_curve(losses, chance: float, floor: float):
    """The loss of every epoch between the loss of a map that knows nothing and the bound.

    >>> fig = plot_loss_curve([5.8, 4.6, 4.2], chance=6.2, floor=3.9)
    """
    fig = plots.figure(x="epoch", y="contrastive loss (nats)", height=330)
    epochs = list(range(1, len(losses) + 1))
    for level, name, dash in (
        (chance, "everything in one point", "dash"),
        (floor, "lower bound", "dot"),
    ):
        fig.add_scatter(x=[1, len(losses)], y=[level] * 2, mode="lines", name=name,
                        line={"color": "#444", "dash": dash, "width": 1.5})  # fmt: skip
    return fig.add_scatter(
        x=epochs, y=np.round(losses, 4), mode="lines", name="loss", line_color=plots.ROLES["victim"]
    )


def plot_two_views(left, left_marks, right, right_marks, labels):
    """UMAP of the feature space (left) beside the learned map (right), with class means.

    Arguments: `left` and `right`, (N, 2) points of the same images; `left_marks` and `right_marks`,
    (K, 2) centroids in the UMAP, centers in the map; `labels`, (N,) classes from 0 to 9.

    >>> mapped = feature_map(features).detach()
    >>> fig = plot_two_views(mapped.numpy(), mapped[:10].numpy(), mapped, centers, labels)
    """
    fig = plots.figure(height=470).set_subplots(1, 2, horizontal_spacing=0.09)
    for panel, points, marks in ((1, left, left_marks), (2, right, right_marks)):
        _add_classes(fig, panel, _array(points), _array(labels), legend=panel == 1)
        _add_numbers(fig, panel, _array(marks))
    fig.update_xaxes(title_text="UMAP 1", row=1, col=1)
    fig.update_yaxes(title_text="UMAP 2", title_standoff=4, row=1, col=1)
    fig.update_xaxes(title_text="z<sub>1</sub> (map length)", row=1, col=2)
    fig.update_yaxes(title_text="z<sub>2</sub>", title_standoff=4, row=1, col=2)
    return _with_legend(fig)


def plot_regions(points, labels, clusters: Clusters, beta: float = 1.0):
    """Mapped images, the centers as numbers and the sensitive discs of radius beta rho_k.

    Arguments: `points` and `labels`, (N, 2) and (N,), the classes from 0 to 9.

    >>> fig = plot_regions(feature_map(features), labels, clusters)
    """
    fig = plots.figure(x="z<sub>1</sub> (map length)", y="z<sub>2</sub> (map length)", height=560)
    _add_classes(fig, 1, _array(points), _array(labels), legend=True, size=5)
    centers, radii = _array(clusters.centers), beta * _array(clusters.radii)
    for k, (center, radius) in enumerate(zip(centers, radii, strict=True)):
        if radius > 0:
            plots.add_disc(fig, center, radius, color=plots.CLASS_COLORS[k % 10])
    _add_numbers(fig, 1, centers)
    fig.update_yaxes(scaleanchor="x", constrain="domain")
    fig.update_xaxes(constrain="domain")
    return _with_legend(fig)


def plot_small_multiples(maps: dict, columns: int = 3):
    """One panel a map: points, centers, discs. Every panel has a scale of its own.

    Arguments: `maps`, name -> (points (N, 2), labels (N,), `Clusters`).

    >>> fig = plot_small_multiples({"60 epochs": (points, labels, clusters)})
    """
    rows = math.ceil(len(maps) / columns)
    fig = plots.figure(height=60 + 270 * rows).set_subplots(
        rows, columns, subplot_titles=list(maps), horizontal_spacing=0.04,
        vertical_spacing=0.16 / rows,
    )  # fmt: skip
    for panel, (points, labels, clusters) in enumerate(maps.values(), start=1):
        _add_classes(fig, panel, _array(points), _array(labels), legend=panel == 1, size=4)
        centers, radii = _array(clusters.centers), _array(clusters.radii)
        for k, (center, radius) in enumerate(zip(centers, radii, strict=True)):
            if radius > 0:
                plots.add_disc(fig, center, radius, color=plots.CLASS_COLORS[k % 10])
                _move(fig.data[-1], panel)
        row, column = (panel - 1) // columns + 1, (panel - 1) % columns + 1
        fig.update_yaxes(scaleanchor="x" if panel == 1 else f"x{panel}", constrain="domain",
                         row=row, col=column)  # fmt: skip
    fig.update_xaxes(showticklabels=False, ticks="", constrain="domain", mirror=True)
    fig.update_yaxes(showticklabels=False, ticks="", mirror=True)
    fig.update_annotations(font_size=13)
    fig = _with_legend(fig)
    return fig.update_layout(legend_y=1 + 0.12 / rows, margin={"l": 15, "r": 15, "b": 15, "t": 95})


def plot_score_panels(rows: dict, measures: list[str]):
    """One panel a measure, one line a row: a dot for every seed, a stroke for their mean.

    Arguments: `rows`, name -> (seeds, measures) in [0, 1], drawn in percent; `measures`, the
    panels' titles.

    >>> rows = {"60 epochs": [[0.9, 0.1], [0.8, 0.2]]}
    >>> fig = plot_score_panels(rows, ["accuracy", "inside"])
    """
    fig = plots.figure(height=180 + 34 * len(rows)).set_subplots(
        1, len(measures), shared_yaxes=True, horizontal_spacing=0.025
    )
    names = list(rows)
    values = 100 * np.stack([np.asarray(rows[name], dtype=float) for name in names])
    for column in range(len(measures)):
        for name, scores in zip(names, values[:, :, column], strict=True):
            panel = {"row": 1, "col": column + 1, "showlegend": False}
            fig.add_scatter(
                x=scores.round(2), y=[name] * len(scores), mode="markers", **panel,
                marker={"color": plots.ROLES["victim"], "size": 9, "opacity": 0.6},
            )  # fmt: skip
            fig.add_scatter(
                x=[scores.mean().round(2)], y=[name], mode="markers", hoverinfo="skip", **panel,
                marker={"symbol": "line-ns", "size": 15,
                        "line": {"width": 2.5, "color": plots.ROLES["substitute"]}},
            )  # fmt: skip
        title = "<br>".join(wrap(measures[column], 14))  # or neighbours would overlap
        fig.update_xaxes(title_text=title, title_font_size=12, range=[-6, 106],
                         tickvals=[0, 50, 100], row=1, col=column + 1)  # fmt: skip
    return fig.update_yaxes(categoryorder="array", categoryarray=names[::-1])


def _array(values) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _move(trace, panel: int) -> None:
    """Put a trace that was added to the first panel into another one."""
    suffix = "" if panel == 1 else str(panel)
    trace.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}")


def _add_classes(fig, panel: int, points, labels, legend: bool, size: int = 5) -> None:
    before = len(fig.data)
    plots.scatter_classes(fig, points.round(4).astype("float32"), labels, size=size)
    for trace in fig.data[before:]:
        _move(trace, panel)
        trace.update(showlegend=legend, legendgroup=trace.name)


def _add_numbers(fig, panel: int, marks) -> None:
    """The class means: white discs with the number of the class."""
    fig.add_scatter(
        x=marks[:, 0], y=marks[:, 1], mode="markers+text", hoverinfo="skip", showlegend=False,
        text=[f"<b>{k}</b>" for k in range(len(marks))], textfont={"size": 11, "color": "#000"},
        marker={"size": 17, "color": "#fff", "line": {"color": "#000", "width": 1.5}},
    )  # fmt: skip
    _move(fig.data[-1], panel)


def _with_legend(fig):
    legend = plots.legend_above(1.03) | {"itemsizing": "constant"}
    return fig.update_layout(legend=legend, margin_t=80)
