"""Figures of the benchmarks: what an answer costs, in forward passes of the bare victim."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from queen_ref import plots

REGIMES = {"walk": "solid", "record": "dash", "reverse": "dot"}
AXES = {
    "batch": "queries in a batch",
    "K": "classes K",
    "asked": "queries this client has asked before",
    "shadows": "shadows per query k_s",
}


def plot_costs(rows: Sequence[dict], height: int = 460):
    """The cost of each row as a point with its quartiles, and the floor as an open diamond.

    The x axis is logarithmic. Arguments: `rows`, of a benchmark record, with "what", "median",
    "low", "high" and "floor"; `height`, in pixels. Errors: `ValueError` for no rows.

    >>> fig = plot_costs([row for row in record["rows"] if row["part"] == "defences"])
    """
    if not rows:
        raise ValueError("expected at least one row")
    fig = plots.figure(x="cost of an answer / bare forward", height=height)
    names = [row["what"] for row in rows]
    fig.add_scatter(
        x=[row["floor"] for row in rows], y=names, mode="markers", name="floor",
        marker={"symbol": "diamond-open", "size": 13, "color": plots.ROLES["neutral"]},
        hovertemplate="%{y}: at least %{x} forwards<extra></extra>",
    )  # fmt: skip
    fig.add_scatter(
        x=[row["median"] for row in rows], y=names, mode="markers", name="measured",
        marker={"size": 8, "color": plots.ROLES["victim"]},
        error_x=_quartiles(rows),
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
    )  # fmt: skip
    fig.update_yaxes(autorange="reversed")
    return fig.update_xaxes(type="log", dtick="D2")


def plot_scaling(rows: Sequence[dict], axis: str, height: int = 400):
    """Cost against a size: one line a regime, with quartiles; both axes are logarithmic.

    Arguments: `rows`, of a benchmark record, those of this `axis` are drawn; `axis`, "batch", "K",
    "asked" or "shadows"; `height`, in pixels. Errors: `ValueError` for an unknown axis, or no row
    of it.

    >>> fig = plot_scaling(record["rows"], axis="batch")
    """
    if axis not in AXES:
        raise ValueError(f"axis: expected one of {sorted(AXES)}, got {axis!r}")
    fig = plots.figure(x=AXES[axis], y="cost of an answer / bare forward", height=height)
    for (regime, dash), color in zip(REGIMES.items(), plots.CLASS_COLORS, strict=False):
        line = [row for row in rows if row.get("axis") == axis and row["regime"] == regime]
        if line:
            fig.add_scatter(
                x=[row["value"] for row in line], y=[row["median"] for row in line],
                mode="lines+markers", name=regime, error_y=_quartiles(line),
                line={"color": color, "dash": dash},
                hovertemplate=f"{regime}, %{{x}}: %{{y:.2f}}<extra></extra>",
            )  # fmt: skip
    if not fig.data:
        raise ValueError(f"expected rows of axis {axis!r}")
    fig.update_xaxes(type="log", dtick=1 if axis in ("asked", "K") else None)
    # From a little under one forward, and over a decade: a flat line has to look flat.
    highest = max(row["high"] for row in rows if row.get("axis") == axis)
    return fig.update_yaxes(type="log", dtick="D2", range=np.log10([0.9, max(9.0, 1.2 * highest)]))


def _quartiles(rows: Sequence[dict]) -> dict:
    median, low, high = ([row[name] for row in rows] for name in ("median", "low", "high"))
    return plots.whiskers(median, low, high, thickness=1.2)
