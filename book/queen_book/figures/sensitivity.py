"""Which queries are sensitive: maps of them, the curve of SQS, shares inside, the growth of CQS.

Tensors or arrays go in, plotly figures come out. Plotly and umap are imported where they are
used.
"""

from __future__ import annotations

import numpy as np
import torch

from queen_book.figures.fates import circles
from queen_ref import plots
from queen_ref.queen.features import Clusters
from queen_ref.queen.sensitivity import single_query_sensitivity


def fit_umap(features: torch.Tensor, seed: int = 0):
    """A UMAP of the victim's features (N, D), with a `transform` for queries.

    >>> fit_umap(features, seed=0).transform(features[:5].cpu().numpy()).shape
    (5, 2)
    """
    import umap  # optional, and slow to import

    return umap.UMAP(random_state=seed, n_epochs=200).fit(features.cpu().numpy())


def plot_sqs_curves(alphas: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)):
    """Single query sensitivity over d / s_k, one line for each alpha.

    >>> len(plot_sqs_curves((1.0, 2.0)).data)
    2
    """
    fig = plots.figure(x="distance to the center, d / s<sub>k</sub>", y="SQS", height=380)
    ratio = torch.linspace(0, 2.5, 126)
    for number, alpha in enumerate(alphas):
        fig.add_scatter(
            x=ratio.numpy(),
            y=single_query_sensitivity(ratio, 1.0, alpha).numpy(),
            name=f"alpha = {alpha:g}",
            line={"dash": ("solid", "dash", "dot", "dashdot")[number % 4]},
        )
    fig.add_vrect(x0=0, x1=1, fillcolor=plots.ROLES["inside"], opacity=0.15, line_width=0,
                  annotation_text="inside", annotation_position="bottom left")  # fmt: skip
    return fig.update_yaxes(range=[0, 1.03]).update_xaxes(range=[0, 2.5])


def plot_queries_in_two_maps(
    background: np.ndarray,
    left: dict[str, np.ndarray],
    left_centroids: np.ndarray,
    right: dict[str, np.ndarray],
    clusters: Clusters,
):
    """Queries of several pools in a UMAP of the features, beside the learned 2-D map.

    Arguments: `background`, (N, 2) training images in the UMAP; `left`, for each pool its queries
    (B, 2) in the UMAP; `left_centroids`, (K, 2) centroids mu_k in the UMAP; `right`, for each pool
    the same queries (B, 2) in the learned map; `clusters`, centers and mean distances there, with
    beta = 1.

    >>> pools = {"held-out": points.numpy()}             # in either map
    >>> fig = plot_queries_in_two_maps(points.numpy(), pools, centers.numpy(), pools, clusters)
    """
    fig = plots.figure(height=480).set_subplots(
        1, 2, subplot_titles=["UMAP of the features", "learned map m"], horizontal_spacing=0.1
    )
    fig.add_scatter(x=background[:, 0], y=background[:, 1], mode="markers", name="training images",
                    marker={"color": "#cccccc", "size": 4}, row=1, col=1)  # fmt: skip
    for number, name in enumerate(left):
        style = {"color": plots.CLASS_COLORS[number], "symbol": plots.CLASS_SYMBOLS[number]}
        for column, points in ((1, left[name]), (2, right[name])):
            fig.add_scatter(x=points[:, 0], y=points[:, 1], mode="markers", name=name,
                            legendgroup=name, showlegend=column == 1, opacity=0.7,
                            marker={**style, "size": 5}, row=1, col=column)  # fmt: skip
    centers, radii = clusters.centers.cpu().numpy(), clusters.radii.cpu().numpy()
    for column, middle in ((1, left_centroids), (2, centers)):
        fig.add_scatter(x=middle[:, 0], y=middle[:, 1], mode="text", showlegend=False,
                        text=[f"<b>{k}</b>" for k in range(len(middle))],
                        textfont={"size": 15, "color": "#000"}, row=1, col=column)  # fmt: skip
    rims = [circles(c[None], s, 48) for c, s in zip(centers, radii, strict=True)]
    x, y = (np.concatenate(part) for part in zip(*rims, strict=True))
    fig.add_scatter(x=x, y=y, mode="lines", name="sensitive regions",
                    line={"color": "#222", "width": 1.5}, row=1, col=2)  # fmt: skip
    fig.update_layout(legend=plots.legend_above(1.1), margin={"t": 100, "l": 55, "r": 15, "b": 55})
    for column, unit in ((1, "UMAP"), (2, "z")):
        sub = "<sub>1</sub>", "<sub>2</sub>"
        fig.update_xaxes(title_text=unit + sub[0], row=1, col=column)
        fig.update_yaxes(title_text=unit + sub[1], row=1, col=column)
    return fig.update_yaxes(scaleanchor="x2", row=1, col=2)


def plot_inside_bars(shares: dict[str, list[float]]):
    """Share of each pool that falls inside: a bar for the mean, a dot for each seed.

    Arguments: `shares`, for each pool its share inside, in [0, 1], for one or more seeds.

    >>> fig = plot_inside_bars({"held-out": [0.56, 0.54, 0.57], "noise": [0.0, 0.0, 0.0]})
    """
    names = list(shares)
    fig = plots.figure(x="query pool", y="inside (% of its queries)", height=380)
    fig.add_bar(x=names, y=[100 * float(np.mean(shares[name])) for name in names],
                marker_color=plots.ROLES["inside"], name="mean over seeds")  # fmt: skip
    fig.add_scatter(
        x=[name for name in names for _ in shares[name]],
        y=[100 * share for name in names for share in shares[name]],
        mode="markers",
        marker={"color": "#222", "size": 8, "symbol": "circle-open", "line": {"width": 2}},
        name="one seed",
    )
    return fig.update_yaxes(range=[0, 100])


def plot_cqs_growth(curves: dict[str, tuple[np.ndarray, np.ndarray]], threshold: float):
    """The most covered class of each pool against the number of queries sent.

    Arguments: `curves`, for each pool the numbers of queries (T,) and CQS of every class then
    (T, K); `threshold`, where reversing begins.

    >>> fig = plot_cqs_growth({"held-out": (np.arange(3), np.zeros((3, 10)))}, threshold=0.2)
    """
    fig = plots.figure(x="queries sent by the client", y="CQS<sub>k</sub>", height=430)
    for number, (name, (sent, cqs)) in enumerate(curves.items()):
        color = plots.CLASS_COLORS[number]
        fig.add_scatter(x=sent, y=cqs.max(1), name=f"{name}: largest",
                        line={"color": color, "width": 2})  # fmt: skip
        fig.add_scatter(x=sent, y=cqs.mean(1), name=f"{name}: mean",
                        line={"color": color, "width": 2, "dash": "dot"})  # fmt: skip
    fig.add_hline(y=threshold, line={"color": "#222", "dash": "dash"},
                  annotation_text="threshold", annotation_position="top left")  # fmt: skip
    return fig.update_yaxes(range=[0, 1.25 * threshold])
