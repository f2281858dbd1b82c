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
    "all reversed": ("#000000", "x", "dot"),
}


def mean_and_range(
    rows: Iterable[dict], key: str, value: str
) -> tuple[list, np.ndarray, np.ndarray, np.ndarray]:
    """Group rows by `key`: the G keys in order; mean, least and greatest `value`, (G,) each.

    Arguments: `rows`, dicts that hold `key` and `value`. Errors: `ValueError` for no rows.

    >>> mean_and_range([{"n": 1, "v": 2.0}, {"n": 1, "v": 4.0}], "n", "v")[1]
    array([3.])
    """
    groups: dict = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row[value])
    if not groups:
        raise ValueError(f"expected at least one row with {key!r} and {value!r}")
    means, low, high = (np.array([of(g) for g in groups.values()]) for of in (np.mean, min, max))
    return list(groups), means, low, high


def plot_budget_curves(runs: Sequence[dict], height: int = 480):
    """Accuracy and fidelity of the substitutes against the query budget, one line a defence.

    A defence whose substitutes all stay below a tenth is named in a note instead of drawn:
    on its scale the others would be one line. Whiskers go from the worst seed to the best.
    Arguments: `runs`, at least one dict, one a seed, with "defense" (a key of `STYLES`), "budget",
    "accuracy", "fidelity"; `height`, in pixels.

    >>> run = {"defense": "QUEEN", "budget": 150, "accuracy": 0.8, "fidelity": 0.8}
    >>> fig = plot_budget_curves([run])
    """
    fig = plots.figure(height=height)
    fig.set_subplots(1, 2, shared_yaxes=True, subplot_titles=("accuracy", "fidelity"))
    measures, notes = ("accuracy", "fidelity"), []
    for number, (name, (color, symbol, dash)) in enumerate(STYLES.items()):
        mine = [run for run in runs if run["defense"] == name]
        if mine and max(run[m] for run in mine for m in measures) < 0.1:
            notes.append(name)
            continue
        for column, measure in enumerate(measures, 1):
            if not mine:
                continue
            budgets, means, low, high = mean_and_range(mine, "budget", measure)
            aside = 1 + 0.03 * (number - 2)  # or the markers of a budget would hide each other
            fig.add_scatter(
                x=[b * aside for b in budgets], y=means, name=name,
                legendgroup=name, showlegend=column == 1,
                mode="lines+markers", line={"color": color, "dash": dash},
                marker={"symbol": symbol, "size": 9},
                error_y=plots.whiskers(means, low, high, thickness=1.5),
                row=1, col=column,
            )  # fmt: skip
    ticks = sorted({run["budget"] for run in runs})
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[str(t) for t in ticks])
    fig.update_xaxes(title_text="queries (log scale)", **plots.AXIS)
    drawn = [run[m] for run in runs for m in measures if run["defense"] not in notes]
    fig.update_yaxes(range=[max(0, min(drawn, default=0) - 0.04), 1.005], **plots.AXIS)
    fig.update_yaxes(title_text="share of test images", col=1)
    if notes:
        fig.add_annotation(
            text=f"not drawn, below 0.1: {', '.join(notes)}", showarrow=False,
            xref="paper", yref="paper", x=1, y=0.02, xanchor="right", yanchor="bottom",
        )  # fmt: skip
    return _legend_below(fig)


def plot_counter_curves(histories: dict[str, Sequence[dict]], height: int = 430):
    """Queries inside, recorded and reversed so far, against the queries sent; a panel a setting.

    One thin line a seed. Arguments: `histories`, for each setting one dict a seed with "inside",
    "recorded" and "reversed", (N,) counts after 1, 2, ..., N queries; `height`, in pixels.

    >>> counts = {"inside": np.ones(5), "recorded": np.ones(5), "reversed": np.ones(5)}
    >>> fig = plot_counter_curves({"QUEEN": [counts]})
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
    fig.update_xaxes(title_text="queries sent", **plots.AXIS)
    fig.update_yaxes(rangemode="tozero", **plots.AXIS)
    fig.update_yaxes(title_text="queries of this kind so far", col=1)
    return _legend_below(fig)


def plot_paired_points(
    groups: dict[str, dict[str, Sequence[float]]],
    y: str,
    colors: Sequence[str],
    top: float | None = None,
    height: int = 400,
):
    """Values of a few series in a few groups, side by side: a bar for the mean, a dot a seed.

    Arguments: `groups`, name of a group -> name of a series -> one value a seed; `y`, the label of
    that axis; `colors`, one a series; `top`, the end of the y axis, by default what the data need;
    `height`, in pixels. Errors: `ValueError` for fewer colours than series.

    >>> values = {"QUEEN": {"fresh": [0.97], "after": [0.94]}}
    >>> fig = plot_paired_points(values, "accuracy", ["#0072B2", "#E69F00"])
    """
    series = list(dict.fromkeys(name for group in groups.values() for name in group))
    if len(colors) < len(series):
        raise ValueError(f"expected {len(series)} colours, got {len(colors)}")
    fig = plots.figure(y=y, height=height)
    patterns = ("", "/", ".", "x")
    for number, name in enumerate(series):
        held = {g: values[name] for g, values in groups.items() if name in values}
        low, high = ([end(v) for v in held.values()] for end in (min, max))
        means = [float(np.mean(v)) for v in held.values()]
        fig.add_bar(
            x=list(held), y=means, name=name,
            offsetgroup=name, opacity=0.85,
            marker={"color": colors[number], "pattern": {"shape": patterns[number % 4]}},
            error_y=plots.whiskers(means, low, high, thickness=1.5, color="#222"),
        )  # fmt: skip
    fig.update_layout(barmode="group", bargap=0.3, bargroupgap=0.05)
    fig.update_yaxes(range=[0, top] if top else None, rangemode="tozero")
    if len(series) == 1:
        return fig.update_layout(showlegend=False)
    return _legend_below(fig)


def plot_honest_curves(
    honest: Sequence[dict], thieves: dict[str, Sequence[float]], budget: int, height: int = 460
):
    """Right answers to a fresh honest client against how many he has asked, one line a defence.

    The open marks at the right edge are the thief's substitutes. Whiskers go from the worst seed to
    the best. Arguments: `honest`, dicts with "defense" (a key of `STYLES`), "questions" and
    "accuracy", one a seed; `thieves`, defence -> accuracies of substitutes, one a seed; `budget`,
    the queries they were trained on; `height`, in pixels.

    >>> rows = [{"defense": "QUEEN", "questions": 10, "accuracy": 0.97}]
    >>> fig = plot_honest_curves(rows, {"QUEEN": [0.96]}, 1500)
    """
    fig = plots.figure(x="questions asked so far (log scale)", y="share of right answers",
                       height=height)  # fmt: skip
    for number, name in enumerate(thieves):
        color, symbol, dash = STYLES[name]
        mine = [row for row in honest if row["defense"] == name]
        asked, means, low, high = mean_and_range(mine, "questions", "accuracy")
        fig.add_scatter(
            x=asked, y=means, name=f"{name}: honest client", mode="lines+markers",
            line={"color": color, "dash": dash}, marker={"symbol": symbol, "size": 9},
            error_y=plots.whiskers(means, low, high, thickness=1.5),
        )  # fmt: skip
        reached = thieves[name]
        found = [float(np.mean(reached))]
        fig.add_scatter(
            x=[budget * 1.12**number], y=found, name=f"{name}: thief's substitute",
            mode="markers", marker={"symbol": f"{symbol}-open", "size": 12, "color": color},
            error_y=plots.whiskers(found, [min(reached)], [max(reached)], thickness=1.5),
        )  # fmt: skip
    ticks = sorted({row["questions"] for row in honest} | {budget})
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[str(t) for t in ticks])
    return fig.update_layout(legend=plots.legend_above())


def plot_account_curves(rows: Sequence[dict], height: int = 400):
    """Share of the queries that is reversed, against the number of client names of one thief.

    Arguments: `rows`, dicts with "setting" (a legend entry), "names" and "share", one a seed;
    `height`, in pixels.

    >>> fig = plot_account_curves([{"setting": "QUEEN", "names": 1, "share": 0.1}])
    """
    fig = plots.figure(x="client names of the thief (log scale)", y="share of queries reversed",
                       height=height)  # fmt: skip
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    for number, setting in enumerate(settings):
        mine = [row for row in rows if row["setting"] == setting]
        names, means, low, high = mean_and_range(mine, "names", "share")
        fig.add_scatter(
            x=names, y=means, name=setting, mode="lines+markers",
            line={"color": ("#E69F00", "#882255", "#000000")[number % 3],
                  "dash": ("solid", "solid", "dash")[number % 3]},
            marker={"symbol": ("square", "triangle-up", "x")[number % 3], "size": 9},
            error_y=plots.whiskers(means, low, high, thickness=1.5),
        )  # fmt: skip
    ticks = sorted({row["names"] for row in rows})
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[str(t) for t in ticks])
    fig.update_yaxes(rangemode="tozero")
    return _legend_below(fig)


def download_link(rows: Sequence[dict], filename: str):
    """A link that saves rows as CSV; the data are in the page, no server is asked.

    Arguments: `rows`, at least one dict, all with the same keys; `filename`, what the browser
    should call the file. Returns an `IPython.display.HTML`. Errors: `ValueError` for no rows.

    >>> link = download_link([{"seed": 0, "accuracy": 0.9}], "runs.csv")
    """
    from IPython.display import HTML  # optional: only a notebook needs it

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


def _legend_below(fig):
    fig.update_layout(
        legend={"orientation": "h", "x": 0, "y": -0.3, "yanchor": "top"},
        margin={"t": 60, "b": 130},
    )
    return fig
