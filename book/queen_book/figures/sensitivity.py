"""Which queries are sensitive: maps of them, the curve of SQS, shares inside, the growth of CQS.

Tensors or arrays go in, plotly figures come out. Plotly is imported where it is used.
"""

from __future__ import annotations

import numpy as np
import torch

from queen_book.figures.fates import circles
from queen_ref import plots
from queen_ref.queen.features import Clusters
from queen_ref.queen.sensitivity import single_query_sensitivity


def plot_sqs_curves(alphas: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)):
    """Single query sensitivity over d / s_k, one line for each alpha.

    >>> len(plot_sqs_curves((1.0, 2.0)).data)
    2
    """
    title = "On the rim every curve is at one half"
    fig = plots.figure(title, x="distance to the center, d / s<sub>k</sub>", y="SQS", height=380)
    ratio = torch.linspace(0, 2.5, 126)
    for number, alpha in enumerate(alphas):
        fig.add_scatter(
            x=ratio.numpy(),
            y=single_query_sensitivity(ratio, 1.0, alpha).numpy(),
            name=f"α = {alpha:g}",
            line={"dash": ("solid", "dash", "dot", "dashdot")[number % 4]},
        )
    fig.add_vrect(x0=0, x1=1, fillcolor=plots.ROLES["inside"], opacity=0.15, line_width=0,
                  annotation_text="inside", annotation_position="bottom left")  # fmt: skip
    return fig.update_yaxes(range=[0, 1.03]).update_xaxes(range=[0, 2.5])


def plot_pools_in_map(
    pools: dict[str, tuple[torch.Tensor, torch.Tensor]], clusters: Clusters, shown: int = 300
):
    """One panel a pool: its queries in the learned map, inside or not, over the sensitive discs.

    Arguments: `pools`, for each pool its mapped queries (B, 2) and the victim's labels (B,);
    `clusters`, centers and mean distances, with beta = 1; `shown`, queries drawn of each pool.

    >>> fig = plot_pools_in_map({"held-out": (points, labels)}, clusters)
    """
    verdicts = [(z - clusters.centers[k]).norm(dim=1) < clusters.radii[k]
                 for z, k in pools.values()]  # fmt: skip
    titles = [f"{name}: {100 * float(inside.float().mean()):.0f} % inside"
              for name, inside in zip(pools, verdicts, strict=True)]  # fmt: skip
    fig = _panels(titles, height=780)
    centers, radii = clusters.centers.cpu().numpy(), clusters.radii.cpu().numpy()
    rims = [circles(c[None], s, 48) for c, s in zip(centers, radii, strict=True)]
    rim_x, rim_y = (np.concatenate(part) for part in zip(*rims, strict=True))
    for panel, ((z, _), verdict) in enumerate(zip(pools.values(), verdicts, strict=True)):
        at = {"row": panel // 2 + 1, "col": panel % 2 + 1, "showlegend": panel == 0}
        at_z, inside = z[:shown].cpu().numpy().round(4), verdict[:shown].cpu().numpy()
        for name, some, color in (("outside", ~inside, plots.ROLES["neutral"]),
                                  ("inside", inside, plots.ROLES["victim"])):  # fmt: skip
            # A trace without a point would be missing in the legend.
            part = at_z[some] if some.any() else np.full((1, 2), np.nan)
            fig.add_scatter(x=part[:, 0], y=part[:, 1], mode="markers", name=name, legendgroup=name,
                            marker={"color": color, "size": 4}, opacity=0.7, **at)  # fmt: skip
        fig.add_scatter(x=rim_x, y=rim_y, mode="lines", name="sensitive regions", **at,
                        legendgroup="rims", line={"color": "#222", "width": 1.2})  # fmt: skip
        fig.update_yaxes(scaleanchor="x" if panel == 0 else f"x{panel + 1}", constrain="domain",
                         row=at["row"], col=at["col"])  # fmt: skip
    drawn = torch.cat([z[:shown] for z, _ in pools.values()]).cpu().numpy()
    low = np.minimum(drawn.min(0), (centers - radii[:, None]).min(0))
    high = np.maximum(drawn.max(0), (centers + radii[:, None]).max(0))
    edge = 0.03 * (high - low)
    fig.update_xaxes(constrain="domain", range=[low[0] - edge[0], high[0] + edge[0]])
    fig.update_yaxes(range=[low[1] - edge[1], high[1] + edge[1]])
    return fig.update_layout(legend=plots.legend_above(1.05) | {"itemsizing": "constant"})


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


def plot_inside_by_map(shares: dict[str, dict[str, list[float]]]):
    """Share of each pool inside, a group of bars for each pool and a bar for each map.

    Arguments: `shares`, for each map and pool the share inside, in [0, 1], for one or more seeds.

    >>> fig = plot_inside_by_map({"ours": {"noise": [0.0, 0.1]}, "untrained": {"noise": [0.5]}})
    """
    fig = plots.figure(x="query pool", y="inside (% of its queries)", height=400)
    width = 0.8 / len(shares)
    for number, (name, pools) in enumerate(shares.items()):
        at = np.arange(len(pools)) + (number - (len(shares) - 1) / 2) * width
        means = [100 * float(np.mean(found)) for found in pools.values()]
        color = (plots.ROLES["inside"], *plots.CLASS_COLORS[1:])[number]
        fig.add_bar(x=at, y=means, width=0.9 * width, name=name, marker_color=color)
        dots = [(x, 100 * y) for x, found in zip(at, pools.values(), strict=True) for y in found]
        fig.add_scatter(x=[x for x, _ in dots], y=[y for _, y in dots], mode="markers",
                        name="one seed", showlegend=number == len(shares) - 1,
                        marker={"color": "#222", "size": 7, "symbol": "circle-open"})  # fmt: skip
    names = list(next(iter(shares.values())))
    fig.update_xaxes(tickvals=list(range(len(names))), ticktext=names)
    fig.update_layout(legend=plots.legend_above())
    return fig.update_yaxes(range=[0, 100])


def plot_cqs_growth(curves: dict[str, tuple[np.ndarray, np.ndarray]], threshold: float):
    """One panel a pool: CQS of every class against the number of queries sent.

    Arguments: `curves`, for each pool the numbers of queries (T,) and CQS of every class then
    (T, K); `threshold`, where reversing begins.

    >>> fig = plot_cqs_growth({"held-out": (np.arange(3), np.zeros((3, 10)))}, threshold=0.2)
    """
    over = {name: int((cqs[-1] > threshold).sum()) for name, (_, cqs) in curves.items()}
    classes = next(iter(curves.values()))[1].shape[1]
    fig = _panels([f"{name}: {n} of {classes} classes pass" for name, n in over.items()], 620)
    for panel, (sent, cqs) in enumerate(curves.values()):
        at = {"row": panel // 2 + 1, "col": panel % 2 + 1}
        for k in range(classes):
            color = plots.ROLES["reversed" if cqs[-1, k] > threshold else "recorded"]
            fig.add_scatter(x=sent, y=cqs[:, k].round(4), mode="lines", showlegend=False,
                            name=f"class {k}", line={"color": color, "width": 1.5},
                            **at)  # fmt: skip
        fig.add_hline(y=threshold, line={"color": "#222", "dash": "dash", "width": 1}, **at)
        fig.update_xaxes(title_text="queries sent" if panel // 2 else "", **at)
        fig.update_yaxes(title_text="" if panel % 2 else "CQS<sub>k</sub>", **at)
    return fig.update_yaxes(range=[0, 1.25 * threshold])


def _panels(titles: list[str], height: int):
    """Two panels in a row, as many rows as it takes."""
    fig = plots.figure(height=height).set_subplots(
        -(-len(titles) // 2), 2, subplot_titles=titles, horizontal_spacing=0.1,
        vertical_spacing=0.14,
    )  # fmt: skip
    return fig.update_annotations(font_size=14)
