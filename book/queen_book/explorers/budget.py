"""Budget and threshold under your fingers: what QUEEN does, and what the thief has from it.

`budget_explorer` needs a running kernel and ipywidgets. As in
`queen_book.explorers.sensitivity` the picture is plain SVG in an HTML widget: no further
package, nothing fetched from anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from queen_book.explorers.kernel import in_a_kernel
from queen_book.figures.end_to_end import mean_and_range
from queen_book.figures.fates import FATE_COLORS, FATES, query_fates
from queen_ref.queen.features import Clusters

WIDTH, HEIGHT, LEFT, TOP, BAR = 560, 260, 46, 16, 22  # pixels
BOLD, PALE = "#D55E00", "#bbbbbb"


def budget_explorer(
    runs: Sequence[dict], points: torch.Tensor, labels: torch.Tensor, clusters: Clusters
):
    """Two sliders over one client's queries. Needs a kernel.

    The bar is exact: each move hands the first so many queries to a fresh ledger. The curves join
    the substitutes that were trained; between two budgets the line is only a guide.

    Arguments: `runs`, one substitute each: "threshold", "budget", "accuracy"; `points`, (B, 2)
    mapped queries in the order of arrival, B at least the largest budget; `labels`, (B,) of the
    victim; `clusters`, centers and mean distances. Returns an `ipywidgets.VBox`; make it the last
    line of a cell.

    >>> runs = [dict(threshold=t, budget=b, accuracy=t) for t in (0.1, 0.2) for b in (10, 90)]
    >>> box = budget_explorer(runs, query.points, query.labels, queen.clusters)
    """
    import ipywidgets as widgets  # optional: only a kernel needs it

    thresholds = sorted({run["threshold"] for run in runs})
    threshold = widgets.SelectionSlider(
        options=[(f"{t:g}", t) for t in thresholds], value=thresholds[-1], description="threshold"
    )
    most = max(run["budget"] for run in runs)
    budget = widgets.IntSlider(most, min=1, max=most, description="budget")
    picture, status = widgets.HTML(), widgets.HTML()

    def redraw(_change=None) -> None:
        client = points, labels, clusters
        picture.value, status.value = svg(runs, *client, threshold.value, budget.value)

    for slider in (threshold, budget):
        slider.observe(redraw, names="value")
    redraw()
    return widgets.VBox([widgets.HBox([threshold, budget]), status, picture])


def show_budget_explorer(runs, points, labels, clusters):
    """The explorer where a kernel can answer it, and one sentence in the built book.

    >>> runs = [dict(threshold=t, budget=b, accuracy=t) for t in (0.1, 0.2) for b in (10, 90)]
    >>> box = show_budget_explorer(runs, query.points, query.labels, queen.clusters)
    """
    return in_a_kernel(
        lambda: budget_explorer(runs, points, labels, clusters), "Use the figure above instead."
    )


def svg(
    runs: Sequence[dict], points: torch.Tensor, labels: torch.Tensor, clusters: Clusters,
    threshold: float, budget: int,
) -> tuple[str, str]:  # fmt: skip
    """The curves and the fates of the first `budget` queries as SVG, and one line of text.

    Errors: `ValueError` for a threshold that no run has, or a budget that is not from 1 to B.

    >>> runs = [dict(threshold=0.1, budget=b, accuracy=0.9) for b in (10, 90)]
    >>> svg(runs, query.points, query.labels, queen.clusters, 0.1, 30)[1]
    'The first 30 queries: ... Substitute: 0.900 (between the measured budgets).'
    """
    if threshold not in {run["threshold"] for run in runs}:
        raise ValueError(f"threshold: expected one of the runs', got {threshold}")
    if not 1 <= budget <= len(points):
        raise ValueError(f"budget: expected 1 to {len(points)}, got {budget}")
    fates, _ = query_fates(points[:budget], labels[:budget], clusters, threshold=threshold)
    counts = np.bincount(fates, minlength=len(FATES)).tolist()
    curves = {t: _curve(runs, t) for t in sorted({run["threshold"] for run in runs})}
    budgets, means = curves[threshold]
    got = float(np.interp(math.log(budget), np.log(budgets), means))
    how = "measured" if budget in budgets else "between the measured budgets"
    if budget < budgets[0]:
        how = f"of the smallest measured budget, {budgets[0]}"
    said = ", ".join(f"{n} {name}" for n, name in zip(counts, FATES, strict=True))
    line = f"The first {budget} queries: {said}. Substitute: {got:.3f} ({how})."
    low = min(min(values) for _, values in curves.values()) - 0.03

    def to_pixels(n: float, value: float) -> tuple[float, float]:
        across = math.log(n / budgets[0]) / math.log(budgets[-1] / budgets[0])
        return LEFT + max(across, 0) * WIDTH, TOP + HEIGHT * (1.0 - value) / (1.0 - low)

    order = [t for t in curves if t != threshold] + [threshold]  # the chosen one on top
    paths = "".join(_path(curves[t], to_pixels, BOLD if t == threshold else PALE) for t in order)
    x, y = to_pixels(budget, got)
    ticks = "".join(_tick(to_pixels(b, low), f"{b}", 0, 16) for b in budgets)
    ticks += "".join(_tick(to_pixels(budgets[0], v), f"{v:.2f}", -24, 4) for v in (low, 1.0))
    whole, bars = max(budget, 1), ""
    for count, color in zip(np.cumsum([0, *counts]), FATE_COLORS, strict=False):
        bars += f'<rect x="{LEFT + WIDTH * count / whole:.1f}" y="{TOP + HEIGHT + 34}" '
        bars += f'width="{WIDTH * (1 - count / whole):.1f}" height="{BAR}" fill="{color}"/>'
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEFT + 20} '
        f'{HEIGHT + TOP + BAR + 44}" role="img" aria-label="{line}" style="background:#fff;'
        f'width:100%;max-width:{WIDTH + LEFT + 20}px;height:auto" font-family="sans-serif" '
        f'font-size="12" fill="none"><path d="M{x:.1f} {TOP}V{TOP + HEIGHT}" stroke="#222" '
        f'stroke-dasharray="4 3"/>{paths}<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{BOLD}"/>'
        f"{ticks}{bars}</svg>"
    )
    return picture, line


def _curve(runs: Sequence[dict], threshold: float) -> tuple[list, np.ndarray]:
    mine = [run for run in runs if run["threshold"] == threshold]
    mine.sort(key=lambda run: run["budget"])
    return mean_and_range(mine, "budget", "accuracy")[:2]


def _path(curve: tuple[list, np.ndarray], to_pixels, color: str) -> str:
    at = [to_pixels(n, value) for n, value in zip(*curve, strict=True)]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    return f'<path d="M{line}" stroke="{color}" stroke-width="2.5"/>'


def _tick(at: tuple[float, float], text: str, right: int, down: int) -> str:
    x, y = at[0] + right, at[1] + down
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#222" text-anchor="middle">{text}</text>'
