"""Figures of the arena: who steals how much from whom, and what the defence costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queen_ref import plots
from queen_ref.arena.report import FILLED, pareto_front, worst_attacks

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Where a long name would cover its neighbours.
SYMBOLS = (*plots.CLASS_SYMBOLS, "bowtie", "hourglass")


def plot_heat_map(
    rows: Sequence[dict], measure: str = "substitute_accuracy", height: int = 430
) -> Figure:
    """A measure as a map: attacks down, defences across, the number in every cell.

    A cell that is not in the grid stays empty; a star marks one that `with_labels` has filled. The
    colours go from white (little is stolen) to the colour of the substitute.

    Arguments: `rows` of `queen_ref.arena.summarise`, of one profile, pool and policy; `measure`,
    the name of an entry of the rows; `height` in pixels.
    Errors: `ValueError` if there are no rows, or two of them fall into one cell.

    >>> fig = plot_heat_map([row for row in rows if row["policy"] == "random"])
    """
    defenses, attacks, cells = _cells(rows)
    values = [[_value(cells.get((a, d)), measure) for d in defenses] for a in attacks]
    shown = [[_label(cells.get((a, d)), measure) for d in defenses] for a in attacks]
    fig = plots.figure(y="attack", height=height)
    fig.add_heatmap(
        z=values, x=defenses, y=attacks, text=shown, texttemplate="%{text}",
        colorscale=[[0, "#ffffff"], [1, plots.ROLES["substitute"]]],
        xgap=2, ygap=2, hoverongaps=False,
        colorbar={"title": {"text": measure.replace("_", "<br>")}, "thickness": 14},
        hovertemplate="%{y} against %{x}: %{text}<extra></extra>",
    )  # fmt: skip
    fig.update_yaxes(autorange="reversed", showgrid=False)
    return fig.update_xaxes(showgrid=False, tickangle=-40, title_text="")


def plot_pareto(rows: Sequence[dict], height: int = 520) -> Figure:
    """What the attack that steals most gets, against what an honest user keeps; the front between.

    Down and to the right is better. The smaller, paler markers are the other attacks. Whiskers
    go from the worst seed to the best.

    Arguments: `rows` of `queen_ref.arena.summarise`, of one profile and pool, best filled by
    `with_labels`: else a defence that keeps the label is shown without the thief who reads it;
    `height` in pixels.
    Errors: `ValueError` if there are no rows.

    >>> fig = plot_pareto(rows)
    """
    if not rows:
        raise ValueError("expected at least one row")
    fig = plots.figure(
        x="protected accuracy (honest user)", y="substitute accuracy (thief)", height=height
    )
    worst = worst_attacks(rows)
    points = [(row["protected_accuracy"], row["substitute_accuracy"]) for row in worst]
    front = [points[index] for index in pareto_front(points)]
    fig.add_scatter(
        x=[x for x, _ in front], y=[y for _, y in front], mode="lines", name="Pareto front",
        line={"color": plots.ROLES["neutral"], "dash": "dot", "shape": "hv"}, hoverinfo="skip",
    )  # fmt: skip
    for index, row in enumerate(worst):
        color = plots.CLASS_COLORS[index % len(plots.CLASS_COLORS)]
        symbol, name = SYMBOLS[index % len(SYMBOLS)], row["defense"]
        others = [r for r in rows if r["defense"] == name and r is not row]
        fig.add_scatter(
            x=[r["protected_accuracy"] for r in others],
            y=[r["substitute_accuracy"] for r in others],
            mode="markers", name=name, legendgroup=name, showlegend=False, opacity=0.35,
            marker={"color": color, "symbol": symbol, "size": 6},
            text=[f"{r['attack']} x {r['policy']}" for r in others],
            hovertemplate=f"{name}, %{{text}}: %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
        fig.add_scatter(
            x=[row["protected_accuracy"]], y=[row["substitute_accuracy"]],
            mode="markers", name=name, legendgroup=name,
            marker={"color": color, "symbol": symbol, "size": 12},
            error_x=_whiskers(row, "protected_accuracy", color),
            error_y=_whiskers(row, "substitute_accuracy", color),
            text=[f"{row['attack']} x {row['policy']}"],
            hovertemplate=f"{name}, %{{text}}: keeps %{{x:.3f}}, loses %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    return fig


def plot_sweep(lines: Sequence[dict], height: int = 380) -> Figure:
    """One panel for each setting that was varied: what a thief gets, what a user keeps.

    A marker is the mean over seeds; whiskers go from the worst seed to the best. The panels
    share their y axis.

    Arguments: `lines` of results files, each with `queen` or `setting`, what differs: one a line;
    `height` in pixels.
    Errors: `ValueError` for no lines, or a line with none or several varied settings.

    >>> fig = plot_sweep([line for line in read("arena.jsonl") if line.get("queen")])
    """
    from plotly.subplots import make_subplots  # optional: only figures need it

    if not lines:
        raise ValueError("expected at least one line")
    panels: dict[str, dict[float, list[dict]]] = {}
    for line in lines:
        varied = dict(line.get("queen", ())) | dict(line.get("setting", ()))
        if len(varied) != 1:
            raise ValueError(f"expected one varied setting a line, got {varied}")
        ((name, value),) = varied.items()
        panels.setdefault(name, {}).setdefault(value, []).append(line)
    fig = make_subplots(
        cols=len(panels), shared_yaxes=True, horizontal_spacing=0.03,
        figure=plots.figure(height=height),
    )  # fmt: skip
    for column, (name, by_value) in enumerate(panels.items(), start=1):
        for measure, title, role in (
            ("substitute_accuracy", "substitute (thief)", "substitute"),
            ("protected_accuracy_after", "protected (honest user)", "victim"),
        ):
            points = sorted(by_value.items())
            groups = [[line[measure] for line in group] for _, group in points]
            means = [sum(values) / len(values) for values in groups]
            fig.add_scatter(
                x=[value for value, _ in points], y=means, mode="lines+markers", name=title,
                legendgroup=title, showlegend=column == 1, line={"color": plots.ROLES[role]},
                error_y=plots.whiskers(means, [min(v) for v in groups], [max(v) for v in groups]),
                row=1, col=column,
            )  # fmt: skip
        fig.update_xaxes(title_text=name, row=1, col=column)
    return fig.update_yaxes(title_text="accuracy", col=1)


def _cells(rows: Sequence[dict]) -> tuple[list[str], list[str], dict[tuple[str, str], dict]]:
    if not rows:
        raise ValueError("expected at least one row")
    cells: dict[tuple[str, str], dict] = {}
    for row in rows:
        if (row["attack"], row["defense"]) in cells:
            raise ValueError("expected rows of one profile, pool and policy, got several")
        cells[row["attack"], row["defense"]] = row
    defenses = list(dict.fromkeys(row["defense"] for row in rows))
    return defenses, list(dict.fromkeys(row["attack"] for row in rows)), cells


def _value(row: dict | None, measure: str) -> float | None:
    return None if row is None else row[measure]


def _label(row: dict | None, measure: str) -> str:
    return "" if row is None else f"{row[measure]:.2f}" + (FILLED if "from" in row else "")


def _whiskers(row: dict, measure: str, color: str) -> dict:
    middle, low, high = ([row[measure + end]] for end in ("", "_min", "_max"))
    return plots.whiskers(middle, low, high, thickness=1.2, color=color)
