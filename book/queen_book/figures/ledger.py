"""A client's ledger fills up: a film over his queries, and one over the ledger's settings.

Both work in a page without Python. Plotly is imported where it is used.
"""

from __future__ import annotations

import numpy as np
import torch

from queen_book.figures.fates import (
    DEFAULTS,
    FATE_COLORS,
    FATE_SYMBOLS,
    FATES,
    SETTINGS,
    SYMBOLS,
    circles,
    cqs_history,
    in_mean_distances,
    query_fates,
)
from queen_ref import plots
from queen_ref.queen.features import Clusters


def plot_ledger_film(
    points: torch.Tensor,
    labels: torch.Tensor,
    clusters: Clusters,
    watched: int,
    frames: int = 36,
    **settings,
):
    """One client's ledger filling up: a class's disc beside CQS of every class, with a slider.

    Arguments: `points` and `labels`, (B, 2) and (B,), the client's queries in the order of arrival;
    `clusters`, centers and mean distances; `watched`, the class whose disc is drawn, in units of
    its mean distance; `frames`, how many moments the film has; `settings`, of the ledger, as for
    `query_fates`.

    >>> len(plot_ledger_film(points, labels, queen.clusters, watched=3).frames)
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


def plot_settings(points: torch.Tensor, labels: torch.Tensor, clusters: Clusters, watched: int):
    """An explorer without Python: choose a setting of the ledger, then move its slider.

    The other three settings stay at `DEFAULTS`. Left: the disc of class `watched` after all
    queries. Right: what became of all queries, of every class.

    Arguments: `points` and `labels`, (B, 2) and (B,), the client's queries in the order of arrival;
    `clusters`, centers and mean distances; `watched`, the class whose disc is drawn.

    >>> len(plot_settings(points, labels, queen.clusters, watched=3).layout.sliders)
    4
    """
    local = in_mean_distances(points, labels, clusters)
    mine = labels.cpu().numpy() == watched

    def traces(**changes) -> list:
        settings = {**DEFAULTS, **changes}
        fates, _ = query_fates(points, labels, clusters, **settings)
        return [*_disc_traces(local[mine], fates[mine], settings), _fate_bars(fates)]

    start = traces()
    titles = [f"queries of class {watched}", "what becomes of a query"]
    fig = _disc_figure(start, reach=1.5, titles=titles)
    fig.update_xaxes(title_text="all queries, every class", row=1, col=2)
    fig.update_yaxes(title_text="share (%)", range=[0, 100], row=1, col=2)
    fig.frames = [
        {"name": f"{setting} {value:g}", "data": traces(**{setting: value})}
        for setting, values in SETTINGS.items()
        for value in values
    ]
    return _add_chooser(fig, start)


def _disc_traces(local: np.ndarray, fates: np.ndarray, settings: dict) -> list:
    """Rim, discs of radius r_k, and the points of every fate; all in mean distances."""
    import plotly.graph_objects as go  # optional: only figures need it

    beta = settings["beta"]
    recorded = local[fates == 2]
    x, y = circles(np.zeros((1, 2)), beta, 72)
    traces = [go.Scatter(x=x, y=y, mode="lines", name="sensitive region",
                         line={"color": "#222", "width": 2}, hoverinfo="skip")]  # fmt: skip
    x, y = circles(recorded, settings["spacing"] * beta)
    traces.append(go.Scatter(x=x, y=y, mode="lines", name="radius r<sub>k</sub>", hoverinfo="skip",
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
    import plotly.graph_objects as go  # optional: only figures need it

    over = shares > threshold
    colors = np.where(over, FATE_COLORS[3], FATE_COLORS[2]).tolist()
    return go.Bar(x=np.arange(len(shares)), y=shares.round(4), marker_color=colors,
                  showlegend=False, xaxis="x2", yaxis="y2")  # fmt: skip


def _fate_bars(fates: np.ndarray):
    import plotly.graph_objects as go  # optional: only figures need it

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
    fig.update_layout(legend=plots.legend_above(1.1), margin={"t": 100, "l": 55, "r": 15, "b": 55})
    limit = 1.3 * reach
    text = "z<sub>{0}</sub> − c<sub>{0}</sub>, in mean distances"
    fig.update_xaxes(range=[-limit, limit], constrain="domain", title_text=text.format(1),
                     row=1, col=1)  # fmt: skip
    fig.update_yaxes(range=[-limit, limit], constrain="domain", title_text=text.format(2),
                     scaleanchor="x", row=1, col=1)  # fmt: skip
    fig.update_xaxes(title_standoff=6)
    return fig


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
    sliders, buttons = [], []
    home = {key: [_plain(trace, key) for trace in start] for key in ("x", "y", "text")}
    for number, (setting, values) in enumerate(SETTINGS.items()):
        labels = [f"{value:g}" for value in values]
        steps = plots.slider_steps([f"{setting} {label}" for label in labels], labels)
        sliders.append(
            {"steps": steps, "active": values.index(DEFAULTS[setting]), "visible": number == 0,
             "currentvalue": {"prefix": f"{SYMBOLS[setting]} = "}, "pad": {"t": 65, "b": 5},
             "x": 0.25, "len": 0.75}
        )  # fmt: skip
        change: dict[str, object] = {
            f"sliders[{i}].visible": i == number for i in range(len(SETTINGS))
        }
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
