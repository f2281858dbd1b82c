"""Figures of chapter 5: what a thief, an honest user and the victim's owner see of QUEEN."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from queen_ref import plots

# Colour, marker and dash of every defence: three signs, so that colour is never the only one.
STYLES = {
    "no defence": ("#0072B2", "circle", "solid"),
    "QUEEN": ("#E69F00", "square", "solid"),
    "long walk only": ("#56B4E9", "diamond", "dash"),
    "strict QUEEN": ("#882255", "triangle-up", "solid"),
    "strict, long walk": ("#CC79A7", "triangle-down", "dash"),
    "all reversed": ("#000000", "x", "dot"),
}


def spread(rows: Iterable[dict], key: str, value: str) -> tuple[list, np.ndarray, np.ndarray]:
    """Group rows by `key`: the keys in order, the means of `value`, and the distances of its
    least and greatest value from the mean, (2, G), as plotly's error bars want them.

    Args:
        rows: dicts that hold `key` and `value`.
        key, value: names of entries.

    Raises:
        ValueError: there are no rows.

    Example:
        >>> spread([{"n": 1, "v": 2.0}, {"n": 1, "v": 4.0}], "n", "v")[1]
        array([3.])
    """
    groups: dict = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row[value])
    if not groups:
        raise ValueError(f"expected at least one row with {key!r} and {value!r}")
    means = np.array([np.mean(g) for g in groups.values()])
    ends = np.array([[np.mean(g) - min(g), max(g) - np.mean(g)] for g in groups.values()])
    return list(groups), means, ends.T


def budget_curves(runs: Sequence[dict], height: int = 480):
    """Accuracy and fidelity of the substitutes against the query budget, one line a defence.

    A defence whose substitutes all stay below a tenth is named in a note instead of drawn:
    on its scale the others would be one line.

    Args:
        runs: dicts with "defence" (a key of `STYLES`), "budget", "accuracy", "fidelity"; one
            per seed, at least one. Whiskers go from the worst seed to the best.
        height: in pixels.

    Returns:
        A ``plotly.graph_objects.Figure`` of two panels.

    Example:
        >>> run = {"defence": "QUEEN", "budget": 150, "accuracy": 0.8, "fidelity": 0.8}
        >>> fig = budget_curves([run])
    """
    fig = plots.figure(height=height)
    fig.set_subplots(1, 2, shared_yaxes=True, subplot_titles=("accuracy", "fidelity"))
    measures, notes = ("accuracy", "fidelity"), []
    for place, (name, (color, symbol, dash)) in enumerate(STYLES.items()):
        mine = [run for run in runs if run["defence"] == name]
        if mine and max(run[m] for run in mine for m in measures) < 0.1:
            notes.append(name)
            continue
        for column, measure in enumerate(measures, 1):
            if not mine:
                continue
            budgets, means, ends = spread(mine, "budget", measure)
            aside = 1 + 0.03 * (place - 2)  # or the markers of a budget would hide each other
            fig.add_scatter(
                x=[b * aside for b in budgets], y=means, name=name,
                legendgroup=name, showlegend=column == 1,
                mode="lines+markers", line={"color": color, "dash": dash},
                marker={"symbol": symbol, "size": 9},
                error_y={"array": ends[1], "arrayminus": ends[0], "thickness": 1.5},
                row=1, col=column,
            )  # fmt: skip
    ticks = sorted({run["budget"] for run in runs})
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[str(t) for t in ticks])
    fig.update_xaxes(title_text="queries (log scale)", **_axis())
    drawn = [run[m] for run in runs for m in measures if run["defence"] not in notes]
    fig.update_yaxes(range=[max(0, min(drawn, default=0) - 0.04), 1.005], **_axis())
    fig.update_yaxes(title_text="share of test images", col=1)
    if notes:
        fig.add_annotation(
            text=f"not drawn, below 0.1: {', '.join(notes)}", showarrow=False,
            xref="paper", yref="paper", x=1, y=0.02, xanchor="right", yanchor="bottom",
        )  # fmt: skip
    return _legend_below(fig)


def counter_curves(histories: dict[str, Sequence[dict]], height: int = 430):
    """Queries inside, recorded and reversed so far, against the queries sent; a panel a setting.

    Args:
        histories: per setting one dict per seed with "inside", "recorded", "reversed", each a
            (N,) array: the counts after 1, 2, ..., N queries.
        height: in pixels.

    Returns:
        A ``plotly.graph_objects.Figure``; one thin line a seed.

    Example:
        >>> ones = np.ones(5)
        >>> fig = counter_curves({"QUEEN": [{"inside": ones, "recorded": ones, "reversed": ones}]})
    """
    fig = plots.figure(height=height)
    fig.set_subplots(1, len(histories), shared_yaxes=True, subplot_titles=tuple(histories))
    dashes = {"inside": "solid", "recorded": "dash", "reversed": "dot"}
    for column, seeds in enumerate(histories.values(), 1):
        for number, history in enumerate(seeds):
            for name, dash in dashes.items():
                count = np.asarray(history[name])
                kept = np.unique(np.linspace(0, len(count) - 1, 120).round().astype(int))
                fig.add_scatter(
                    x=kept + 1, y=count[kept], mode="lines", name=name, legendgroup=name,
                    showlegend=column == 1 and number == 0,
                    line={"color": plots.ROLES[name], "dash": dash, "width": 2},
                    row=1, col=column,
                )  # fmt: skip
    fig.update_xaxes(title_text="queries sent", **_axis())
    fig.update_yaxes(rangemode="tozero", **_axis())
    fig.update_yaxes(title_text="queries of this kind so far", col=1)
    return _legend_below(fig)


def paired_points(
    groups: dict[str, dict[str, Sequence[float]]],
    y: str,
    colors: Sequence[str],
    top: float | None = None,
    height: int = 400,
):
    """Values of a few series in a few groups, side by side: a bar for the mean, a dot a seed.

    Args:
        groups: group name -> series name -> one value per seed.
        y: the label of the y axis.
        colors: one for each series.
        top: the end of the y axis; by default what the data need.
        height: in pixels.

    Raises:
        ValueError: fewer colours than series.

    Example:
        >>> values = {"QUEEN": {"fresh": [0.97], "after": [0.94]}}
        >>> fig = paired_points(values, "accuracy", ["#0072B2", "#E69F00"])
    """
    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    if len(colors) < len(series):
        raise ValueError(f"expected {len(series)} colours, got {len(colors)}")
    fig = plots.figure(y=y, height=height)
    patterns = ("", "/", ".", "x")
    for number, name in enumerate(series):
        held = {g: values[name] for g, values in groups.items() if name in values}
        fig.add_bar(
            x=list(held), y=[float(np.mean(v)) for v in held.values()], name=name,
            offsetgroup=name, opacity=0.85,
            marker={"color": colors[number], "pattern": {"shape": patterns[number % 4]}},
            error_y={
                "array": [max(v) - np.mean(v) for v in held.values()],
                "arrayminus": [np.mean(v) - min(v) for v in held.values()],
                "thickness": 1.5, "color": "#222",
            },
        )  # fmt: skip
    fig.update_layout(barmode="group", bargap=0.3, bargroupgap=0.05)
    fig.update_yaxes(range=[0, top] if top else None, rangemode="tozero")
    if len(series) == 1:
        return fig.update_layout(showlegend=False)
    return _legend_below(fig)


def account_curves(rows: Sequence[dict], height: int = 400):
    """Share of the queries that is reversed, against the number of client names of one thief.

    Args:
        rows: dicts with "setting" (a legend entry), "names" and "share", one per seed.
        height: in pixels.

    Example:
        >>> fig = account_curves([{"setting": "QUEEN", "names": 1, "share": 0.1}])
    """
    fig = plots.figure(x="client names of the thief (log scale)", y="share of queries reversed",
                       height=height)  # fmt: skip
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    for number, setting in enumerate(settings):
        mine = [row for row in rows if row["setting"] == setting]
        names, means, ends = spread(mine, "names", "share")
        fig.add_scatter(
            x=names, y=means, name=setting, mode="lines+markers",
            line={"color": ("#E69F00", "#882255", "#000000")[number % 3],
                  "dash": ("solid", "solid", "dash")[number % 3]},
            marker={"symbol": ("square", "triangle-up", "x")[number % 3], "size": 9},
            error_y={"array": ends[1], "arrayminus": ends[0], "thickness": 1.5},
        )  # fmt: skip
    ticks = sorted({row["names"] for row in rows})
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[str(t) for t in ticks])
    fig.update_yaxes(rangemode="tozero")
    return _legend_below(fig)


def download_link(rows: Sequence[dict], filename: str):
    """A link that saves rows as CSV; the data are in the page, no server is asked.

    Args:
        rows: dicts with the same keys, at least one.
        filename: what the browser should call the file.

    Returns:
        An ``IPython.display.HTML``.

    Raises:
        ValueError: there are no rows.

    Example:
        >>> link = download_link([{"seed": 0, "accuracy": 0.9}], "runs.csv")
    """
    from IPython.display import HTML

    if not rows:
        raise ValueError("expected at least one row")
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    data = base64.b64encode(text.getvalue().encode()).decode()
    return HTML(
        f'<a download="{filename}" href="data:text/csv;base64,{data}">'
        f"Download all {len(rows)} rows ({filename})</a>"
    )


def _axis() -> dict:
    return {"showline": True, "linecolor": "#444", "gridcolor": "#e5e5e5", "zeroline": False,
            "ticks": "outside", "automargin": True}  # fmt: skip


def _legend_below(fig):
    fig.update_layout(
        legend={"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"},
        margin={"t": 60, "b": 110},
    )
    return fig
