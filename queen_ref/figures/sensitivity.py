"""Figures of chapter 3: which queries are sensitive, and how a client's ledger fills up.

Every function takes tensors or arrays and returns a ``plotly.graph_objects.Figure``. Plotly and
umap are imported where they are used.
"""

from __future__ import annotations

import numpy as np
import torch

from queen_ref import plots
from queen_ref.queen.features import Clusters
from queen_ref.queen.sensitivity import SensitivityLedger, single_query_sensitivity

# What can become of a query, in the order of the numbers that `query_fates` returns.
FATES = ("outside", "inside, not novel", "recorded", "reversed")
FATE_COLORS = (
    plots.ROLES["neutral"],
    plots.ROLES["inside"],
    plots.ROLES["recorded"],
    plots.ROLES["reversed"],
)
FATE_SYMBOLS = ("circle-open", "diamond", "circle", "x")
DEFAULTS = {"spacing": 0.1, "threshold": 0.2, "alpha": 1.0, "beta": 1.0}
SYMBOLS = {"spacing": "r / s", "threshold": "threshold", "alpha": "alpha", "beta": "beta"}
SETTINGS = {
    "spacing": (0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3),
    "threshold": (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
    "alpha": (0.25, 0.5, 1.0, 2.0, 4.0),
    "beta": (0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
}


def query_fates(
    points: torch.Tensor, labels: torch.Tensor, clusters: Clusters, **settings
) -> tuple[np.ndarray, SensitivityLedger]:
    """What a fresh ledger makes of one client's queries, in the order of arrival.

    Args:
        points: (B, 2) mapped queries.
        labels: (B,) the victim's labels.
        clusters: centers and mean distances.
        settings: of `queen_ref.SensitivityLedger`: spacing, threshold, alpha, beta.

    Returns:
        (B,) integers, numbers of `FATES`, and the ledger as it is afterwards.

    Example:
        >>> fates, ledger = query_fates(points, labels, queen.clusters, threshold=0.1)
        >>> counts = np.bincount(fates, minlength=4)   # outside, not novel, recorded, reversed
    """
    ledger = SensitivityLedger(clusters.centers, clusters.radii, **settings)
    verdict = ledger.observe(points, labels)
    fates = verdict.inside.long() + verdict.novel.long() + verdict.reverse.long()
    return fates.cpu().numpy(), ledger


def in_mean_distances(points: torch.Tensor, labels: torch.Tensor, clusters: Clusters) -> np.ndarray:
    """(B, 2) positions (z - c_k) / rho_k: the sensitive disc of every class has radius beta.

    Example:
        >>> local = in_mean_distances(points, labels, queen.clusters)
        >>> inside = np.hypot(*local.T) < 1
    """
    radius = clusters.radii[labels].clamp_min(1e-12)[:, None]
    return ((points - clusters.centers[labels]) / radius).cpu().numpy()


def circles(centers: np.ndarray, radius: float, corners: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """x and y of many circles as one broken line; centers (N, 2).

    Example:
        >>> x, y = circles(np.zeros((3, 2)), radius=0.1)
        >>> x.shape
        (78,)
    """
    angle = np.append(np.linspace(0, 2 * np.pi, corners + 1), np.nan)  # nan lifts the pen
    x = centers[:, :1] + radius * np.cos(angle)
    y = centers[:, 1:] + radius * np.sin(angle)
    return x.ravel().round(3).astype("float32"), y.ravel().round(3).astype("float32")


def fit_umap(features: torch.Tensor, seed: int = 0):
    """A UMAP of the victim's features (N, D), with a `transform` for queries.

    Example:
        >>> umap = fit_umap(features, seed=0)
        >>> umap.transform(features[:5].cpu().numpy()).shape
        (5, 2)
    """
    import umap

    return umap.UMAP(random_state=seed, n_epochs=200).fit(features.cpu().numpy())


def sqs_curves(alphas: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)):
    """Single query sensitivity over d / s_k, one line for each alpha.

    Example:
        >>> fig = sqs_curves((1.0, 2.0))
        >>> len(fig.data)
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


def queries_in_two_maps(
    background: np.ndarray,
    left: dict[str, np.ndarray],
    left_centroids: np.ndarray,
    right: dict[str, np.ndarray],
    clusters: Clusters,
):
    """Queries of several pools in a UMAP of the features, beside the learned 2-D map.

    Args:
        background: (N, 2) training images in the UMAP.
        left: for each pool its queries (B, 2) in the UMAP.
        left_centroids: (K, 2) centroids mu_k in the UMAP.
        right: for each pool the same queries (B, 2) in the learned map.
        clusters: centers and mean distances in the learned map; beta = 1.

    Example:
        >>> pools = {"held-out": points.numpy()}             # in either map
        >>> fig = queries_in_two_maps(points.numpy(), pools, centers.numpy(), pools, clusters)
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
    _dress(fig)
    for column, unit in ((1, "UMAP"), (2, "z")):
        sub = "<sub>1</sub>", "<sub>2</sub>"
        fig.update_xaxes(title_text=unit + sub[0], row=1, col=column)
        fig.update_yaxes(title_text=unit + sub[1], row=1, col=column)
    return fig.update_yaxes(scaleanchor="x2", row=1, col=2)


def inside_bars(shares: dict[str, list[float]]):
    """Share of each pool that falls inside: a bar for the mean, a dot for each seed.

    Args:
        shares: for each pool its share inside, in [0, 1], for one or more seeds.

    Example:
        >>> fig = inside_bars({"held-out": [0.56, 0.54, 0.57], "noise": [0.0, 0.0, 0.0]})
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


def cqs_growth(curves: dict[str, tuple[np.ndarray, np.ndarray]], threshold: float):
    """The most covered class of each pool against the number of queries sent.

    Args:
        curves: for each pool the numbers of queries (T,) and CQS of every class then (T, K).
        threshold: where reversing begins.

    Example:
        >>> fig = cqs_growth({"held-out": (np.arange(3), np.zeros((3, 10)))}, threshold=0.2)
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


def ledger_film(
    points: torch.Tensor,
    labels: torch.Tensor,
    clusters: Clusters,
    watched: int,
    frames: int = 36,
    **settings,
):
    """One client's ledger filling up: a class's disc beside CQS of every class, with a slider.

    Args:
        points, labels: (B, 2) and (B,), the client's queries in the order of arrival.
        clusters: centers and mean distances.
        watched: the class whose disc is drawn, in units of its mean distance.
        frames: how many moments the film has.
        settings: of the ledger, as for `query_fates`.

    Example:
        >>> fig = ledger_film(points, labels, queen.clusters, watched=3)
        >>> len(fig.frames)
        36
    """
    settings = {**DEFAULTS, **settings}
    fates, _ = query_fates(points, labels, clusters, **settings)
    local = in_mean_distances(points, labels, clusters)
    mine = labels.cpu().numpy() == watched
    sent = np.unique(np.linspace(0, len(points), frames + 1).round().astype(int))[1:]
    cqs = cqs_history(points, labels, clusters, sent, **settings)
    films = []
    for number, shares in zip(sent, cqs, strict=True):
        now = mine[:number]
        traces = _disc_traces(local[:number][now], fates[:number][now], settings)
        films.append([*traces, _cqs_bars(shares, settings["threshold"])])
    titles = [f"queries of class {watched}", "share covered, every class"]
    fig = _disc_figure(films[0], settings["beta"], titles)
    fig.update_xaxes(title_text="class k", dtick=1, row=1, col=2)
    fig.update_yaxes(title_text="CQS<sub>k</sub>", row=1, col=2)
    top = max(1.2 * settings["threshold"], 1.1 * float(cqs.max()))
    fig.update_yaxes(range=[0, top], row=1, col=2)
    fig.add_hline(y=settings["threshold"], line={"color": "#222", "dash": "dash"}, row=1, col=2,
                  annotation_text="threshold", annotation_position="top left")  # fmt: skip
    plots.add_slider(fig, films, [f"{number}" for number in sent], prefix="queries sent: ")
    return _add_player(fig)


def settings_figure(points: torch.Tensor, labels: torch.Tensor, clusters: Clusters, watched: int):
    """An explorer without Python: choose a setting of the ledger, then move its slider.

    The other three settings stay at `DEFAULTS`. Left: the disc of class `watched` after all
    queries. Right: what became of all queries, of every class.

    Args:
        points, labels: (B, 2) and (B,), the client's queries in the order of arrival.
        clusters: centers and mean distances.
        watched: the class whose disc is drawn.

    Example:
        >>> fig = settings_figure(points, labels, queen.clusters, watched=3)
        >>> len(fig.layout.sliders)
        4
    """
    local = in_mean_distances(points, labels, clusters)
    mine = labels.cpu().numpy() == watched

    def draw(**changes) -> list:
        settings = {**DEFAULTS, **changes}
        fates, _ = query_fates(points, labels, clusters, **settings)
        return [*_disc_traces(local[mine], fates[mine], settings), _fate_bars(fates)]

    start = draw()
    titles = [f"queries of class {watched}", "what becomes of a query"]
    fig = _disc_figure(start, reach=1.5, titles=titles)
    fig.update_xaxes(title_text="all queries, every class", row=1, col=2)
    fig.update_yaxes(title_text="share (%)", range=[0, 100], row=1, col=2)
    fig.frames = [
        {"name": f"{setting} {value:g}", "data": draw(**{setting: value})}
        for setting, values in SETTINGS.items()
        for value in values
    ]
    return _add_chooser(fig, start)


def cqs_history(
    points: torch.Tensor, labels: torch.Tensor, clusters: Clusters, sent: np.ndarray, **settings
) -> np.ndarray:
    """CQS of every class (T, K) after `sent` (T,) queries, increasing numbers up to B.

    Example:
        >>> cqs_history(points, labels, queen.clusters, sent=np.array([100, 200])).shape
        (2, 10)
    """
    ledger = SensitivityLedger(clusters.centers, clusters.radii, **settings)
    history, before = [], 0
    for number in sent.tolist():
        if number > before:
            ledger.observe(points[before:number], labels[before:number])
        history.append(ledger.cqs.cpu().numpy())
        before = number
    return np.stack(history)


def _disc_traces(local: np.ndarray, fates: np.ndarray, settings: dict) -> list:
    """Rim, discs of radius r, and the points of every fate; all in mean distances."""
    import plotly.graph_objects as go

    beta = settings["beta"]
    recorded = local[fates == 2]
    x, y = circles(np.zeros((1, 2)), beta, 72)
    traces = [go.Scatter(x=x, y=y, mode="lines", name="sensitive region",
                         line={"color": "#222", "width": 2}, hoverinfo="skip")]  # fmt: skip
    x, y = circles(recorded, settings["spacing"] * beta)
    traces.append(go.Scatter(x=x, y=y, mode="lines", name="radius r", hoverinfo="skip",
                             line={"color": FATE_COLORS[2], "width": 1}))  # fmt: skip
    for number, name in enumerate(FATES):
        some = local[fates == number].round(3).astype("float32")
        if len(some) == 0:  # plotly leaves traces without a point out of the legend
            some = np.full((1, 2), np.nan, dtype="float32")
        marker = {
            "color": FATE_COLORS[number],
            "symbol": FATE_SYMBOLS[number],
            "size": 9 if number == 3 else 5,
        }
        traces.append(go.Scatter(x=some[:, 0], y=some[:, 1], mode="markers", name=name,
                                 marker=marker))  # fmt: skip
    return traces


def _cqs_bars(shares: np.ndarray, threshold: float):
    import plotly.graph_objects as go

    over = shares > threshold
    colors = np.where(over, FATE_COLORS[3], FATE_COLORS[2]).tolist()
    return go.Bar(x=np.arange(len(shares)), y=shares.round(4), marker_color=colors,
                  showlegend=False, xaxis="x2", yaxis="y2")  # fmt: skip


def _fate_bars(fates: np.ndarray):
    import plotly.graph_objects as go

    shares = 100 * np.bincount(fates, minlength=len(FATES)) / len(fates)
    names = [name.replace(", ", ",<br>") for name in FATES]
    return go.Bar(x=names, y=shares.round(2), marker_color=list(FATE_COLORS), showlegend=False,
                  text=[f"{share:.1f}" for share in shares], textposition="outside",
                  cliponaxis=False, xaxis="x2", yaxis="y2")  # fmt: skip


def _disc_figure(traces: list, reach: float, titles: list[str]):
    """Left: one class's disc, one scale on both axes. Right: whatever bars come last."""
    fig = plots.figure(height=440).set_subplots(
        1, 2, column_widths=[0.55, 0.45], horizontal_spacing=0.13, subplot_titles=titles
    )
    fig.add_traces(traces)
    _dress(fig)
    limit = 1.3 * reach
    text = "z<sub>{0}</sub> − c<sub>{0}</sub>, in mean distances"
    fig.update_xaxes(range=[-limit, limit], constrain="domain", title_text=text.format(1),
                     row=1, col=1)  # fmt: skip
    fig.update_yaxes(range=[-limit, limit], constrain="domain", title_text=text.format(2),
                     scaleanchor="x", row=1, col=1)  # fmt: skip
    fig.update_xaxes(title_standoff=6)
    return fig


def _dress(fig) -> None:
    """The book's axes for every panel, and the legend above them."""
    fig.update_xaxes(plots.figure().layout.xaxis.to_plotly_json())
    fig.update_yaxes(plots.figure().layout.yaxis.to_plotly_json())
    fig.update_layout(
        legend={"orientation": "h", "x": 0, "y": 1.1, "yanchor": "bottom"},
        margin={"t": 100, "l": 55, "r": 15, "b": 55},
    )


def _add_player(fig):
    """Play and pause below the figure, left of its slider."""
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}}
    moving = {"fromcurrent": True, "mode": "immediate", "transition": {"duration": 0},
              "frame": {"duration": 300, "redraw": True}}  # fmt: skip
    buttons = [
        {"label": "Play", "method": "animate", "args": [None, moving]},
        {"label": "Pause", "method": "animate", "args": [[None], still]},
    ]
    fig.update_layout(
        updatemenus=[{"type": "buttons", "direction": "left", "buttons": buttons, "x": 0, "y": 0,
                      "xanchor": "left", "yanchor": "top", "pad": {"t": 85}}]
    )  # fmt: skip
    fig.layout.sliders[0].update(x=0.25, len=0.75, pad={"t": 65, "b": 5})
    return fig.update_layout(height=fig.layout.height + 20)


def _add_chooser(fig, start: list):
    """A menu that shows one of four sliders and takes the figure back to the defaults."""
    now = {"mode": "immediate", "frame": {"duration": 0, "redraw": True},
           "transition": {"duration": 0}}  # fmt: skip
    sliders, buttons = [], []
    home = {key: [_plain(trace, key) for trace in start] for key in ("x", "y", "text")}
    for number, (setting, values) in enumerate(SETTINGS.items()):
        steps = [
            {"label": f"{value:g}", "method": "animate", "args": [[f"{setting} {value:g}"], now]}
            for value in values
        ]
        sliders.append(
            {"steps": steps, "active": values.index(DEFAULTS[setting]), "visible": number == 0,
             "currentvalue": {"prefix": f"{SYMBOLS[setting]} = "}, "pad": {"t": 65, "b": 5},
             "x": 0.25, "len": 0.75}
        )  # fmt: skip
        change = {f"sliders[{i}].visible": i == number for i in range(len(SETTINGS))}
        change[f"sliders[{number}].active"] = sliders[-1]["active"]
        args = [home, change, list(range(len(start)))]
        buttons.append({"label": SYMBOLS[setting], "method": "update", "args": args})
    menu = {"buttons": buttons, "x": 0, "y": 0, "xanchor": "left", "yanchor": "top",
            "pad": {"t": 85}, "direction": "up"}  # fmt: skip
    fig.update_layout(sliders=sliders, updatemenus=[menu])
    return fig.update_layout(height=fig.layout.height + 90)


def _plain(trace, key: str) -> list | None:
    """Arrays in a button's arguments must be plain lists; nan becomes None."""
    values = getattr(trace, key)
    if values is None:
        return None
    return [None if v != v else v for v in np.asarray(values).tolist()]
