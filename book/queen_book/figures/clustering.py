"""Figures of chapter 2: the feature space, the learned map, its clusters and their regions.

Tensors or arrays go in, plotly figures come out. Plotly and umap are imported where they are
used.
"""

from __future__ import annotations

import math
import warnings
from textwrap import wrap

import numpy as np

from queen_book.figures.fates import circles
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
    title = "The classes are apart in feature space, and in the map"
    fig = plots.figure(title, height=440).set_subplots(1, 2, horizontal_spacing=0.09)
    for panel, points, marks in ((1, left, left_marks), (2, right, right_marks)):
        _add_classes(fig, panel, _array(points), _array(labels))
        _add_numbers(fig, panel, _array(marks))
    fig.update_xaxes(title_text="UMAP 1", row=1, col=1)
    fig.update_yaxes(title_text="UMAP 2", title_standoff=4, row=1, col=1)
    fig.update_xaxes(title_text="z<sub>1</sub> (map length)", row=1, col=2)
    return fig.update_yaxes(title_text="z<sub>2</sub>", title_standoff=4, row=1, col=2)


def plot_regions(points, labels, clusters: Clusters, title: str = "", beta: float = 1.0):
    """Mapped images, the centers as numbers and the sensitive discs of radius beta rho_k.

    Arguments: `points` and `labels`, (N, 2) and (N,), the classes from 0 to 9; `title`, what it
    shows.

    >>> fig = plot_regions(feature_map(features), labels, clusters)
    """
    fig = plots.figure(title, x="z<sub>1</sub> (map length)", y="z<sub>2</sub> (map length)",
                       height=600)  # fmt: skip
    _add_classes(fig, 1, _array(points), _array(labels), size=4)
    _add_discs(fig, 1, clusters, beta)
    _add_numbers(fig, 1, _array(clusters.centers))
    fig.update_yaxes(scaleanchor="x", constrain="domain")
    return fig.update_xaxes(constrain="domain")


def plot_maps(maps: dict, watched: int, titles: list[str], spacing: float = 0.1):
    """Maps side by side, whole above, and below the disc of one class with what it can cover.

    Arguments: `maps`, name -> (points (N, 2), labels (N,), `Clusters`); `watched`, the class below,
    drawn in sensitive radii; `titles`, of the panels below; `spacing`, r as a share of s_k.

    >>> fig = plot_maps({"ours": (points, labels, clusters)}, watched=0, titles=["class 0"])
    """
    count = len(maps)
    fig = plots.figure(height=760).set_subplots(
        2, count, subplot_titles=[*maps, *titles], horizontal_spacing=0.08, vertical_spacing=0.1
    )
    for panel, (points, labels, clusters) in enumerate(maps.values(), start=1):
        points, labels, below = _array(points), _array(labels), panel + count
        _add_classes(fig, panel, points, labels, size=4)
        _add_discs(fig, panel, clusters)
        _add_numbers(fig, panel, _array(clusters.centers))
        radius = max(float(clusters.radii[watched]), 1e-12)
        local = (points[labels == watched] - _array(clusters.centers[watched])) / radius
        x, y = circles(local, spacing)
        fig.add_scatter(x=x, y=y, mode="lines", fill="toself", line_width=0, hoverinfo="skip",
                        fillcolor=plots.ROLES["recorded"], opacity=0.6,
                        showlegend=False)  # fmt: skip
        _move(fig.data[-1], below)
        _add_classes(fig, below, local, labels[labels == watched], size=3)
        x, y = circles(np.zeros((1, 2)), 1.0, 72)
        fig.add_scatter(x=x, y=y, mode="lines", line={"color": "#222", "width": 2},
                        hoverinfo="skip", showlegend=False)  # fmt: skip
        _move(fig.data[-1], below)
        fig.update_xaxes(range=[-1.7, 1.7], title_text="in sensitive radii", row=2, col=panel)
        fig.update_yaxes(range=[-1.7, 1.7], row=2, col=panel)
        for at, row in ((panel, 1), (below, 2)):
            fig.update_yaxes(scaleanchor="x" if at == 1 else f"x{at}", constrain="domain",
                             row=row, col=panel)  # fmt: skip
    return fig.update_xaxes(constrain="domain").update_annotations(font_size=14)


def plot_score_panels(rows: dict, measures: list[str], highlight: str = ""):
    """One panel a measure, one line a row: a dot for every seed, a stroke for their mean.

    Arguments: `rows`, name -> (seeds, measures) in [0, 1], drawn in percent; `measures`, the
    panels' titles; `highlight`, the row that is set off.

    >>> rows = {"60 epochs": [[0.9, 0.1], [0.8, 0.2]]}
    >>> fig = plot_score_panels(rows, ["accuracy", "inside"])
    """
    fig = plots.figure(height=180 + 34 * len(rows)).set_subplots(
        1, len(measures), shared_yaxes=True, horizontal_spacing=0.05
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
        fig.update_xaxes(title_text=title, title_font_size=12, range=[-12, 112],
                         tickvals=[0, 50, 100], row=1, col=column + 1)  # fmt: skip
    if highlight:
        at = len(names) - 1 - names.index(highlight)  # the first row stands on top
        fig.add_hrect(y0=at - 0.45, y1=at + 0.45, fillcolor=plots.ROLES["inside"], opacity=0.2,
                      line_width=0, layer="below", row="all", col="all")  # fmt: skip
    return fig.update_yaxes(categoryorder="array", categoryarray=names[::-1])


def _array(values) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _move(trace, panel: int) -> None:
    """Put a trace that was added to the first panel into another one."""
    suffix = "" if panel == 1 else str(panel)
    trace.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}")


def _add_classes(fig, panel: int, points, labels, size: int = 5) -> None:
    """The points of every class; numbers beside the class means stand for a legend."""
    before = len(fig.data)
    plots.scatter_classes(fig, points.round(4).astype("float32"), labels, size=size)
    for trace in fig.data[before:]:
        _move(trace, panel)
        trace.update(showlegend=False)


def _add_discs(fig, panel: int, clusters: Clusters, beta: float = 1.0) -> None:
    centers, radii = _array(clusters.centers), beta * _array(clusters.radii)
    for center, radius in zip(centers, radii, strict=True):
        if radius > 0:
            plots.add_disc(fig, center, radius, color="#222")
            _move(fig.data[-1], panel)


def _add_numbers(fig, panel: int, marks) -> None:
    """The class means: a small cross, and the number of the class beside its cloud."""
    marks = _array(marks)
    out = marks - marks.mean(0)  # away from the middle of the picture
    side = np.where(out[:, 0] < 0, "left", "right")
    height = np.where(out[:, 1] < 0, "bottom", "top")
    fig.add_scatter(
        x=marks[:, 0], y=marks[:, 1], mode="markers+text", hoverinfo="skip", showlegend=False,
        text=[f"<b> {k} </b>" for k in range(len(marks))], textfont={"size": 15, "color": "#000"},
        textposition=[f"{h} {s}" for h, s in zip(height, side, strict=True)],
        marker={"symbol": "cross-thin", "size": 7, "line": {"color": "#000", "width": 1.5}},
    )  # fmt: skip
    _move(fig.data[-1], panel)
