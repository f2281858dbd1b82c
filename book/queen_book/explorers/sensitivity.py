"""The ledger's settings under your fingers: four sliders, every verdict recomputed at each move.

`sensitivity_explorer` needs a running kernel and ipywidgets. It draws plain SVG into an HTML
widget: no further package, no JavaScript, nothing fetched from anywhere. ipywidgets is imported
where it is used.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from queen_book.explorers.kernel import in_a_kernel
from queen_book.figures.fates import DEFAULTS, FATE_COLORS, FATES, in_mean_distances, query_fates
from queen_ref.queen.features import Clusters
from queen_ref.queen.sensitivity import SensitivityLedger

REACH = 2.1  # half the side of a panel, in mean distances rho_k
SIDE, GAP, BAR = 140, 10, 26  # pixels: a panel, the space around it, the line for CQS under it
COLUMNS, PANELS = 5, 10
RANGES = {  # label, lowest, highest, step
    "spacing": ("r_k / s_k", 0.02, 0.5, 0.01),
    "threshold": ("threshold", 0.0, 1.0, 0.01),
    "alpha": ("alpha", 0.25, 4.0, 0.25),
    "beta": ("beta", 0.25, 2.0, 0.05),
}


def sensitivity_explorer(points: torch.Tensor, labels: torch.Tensor, clusters: Clusters):
    """Sliders for r, threshold, alpha and beta over one client's queries. Needs a kernel.

    Each move hands all queries to a fresh ledger, in their order, and redraws.

    Arguments: `points`, (B, 2) mapped queries in the order of arrival; `labels`, (B,) of the
    victim; `clusters`, centers and mean distances, of which the first ten classes are drawn.
    Returns an `ipywidgets.VBox`; make it the last line of a cell. Errors: `ValueError` for points,
    labels or clusters that do not fit together.

    >>> query = queen.look(images)
    >>> box = sensitivity_explorer(query.points, query.labels, queen.clusters)
    """
    import ipywidgets as widgets  # optional: only a kernel needs it

    sliders = {
        name: widgets.FloatSlider(
            value=DEFAULTS[name], min=low, max=high, step=step, description=label,
            continuous_update=True, readout_format=".2f",
        )
        for name, (label, low, high, step) in RANGES.items()
    }  # fmt: skip
    picture, status = widgets.HTML(), widgets.HTML()

    def redraw(_change=None) -> None:
        start = time.perf_counter()
        settings = {name: slider.value for name, slider in sliders.items()}
        picture.value, counts = svg(points, labels, clusters, **settings)
        shares = [f"{name} {100 * n / len(labels):.1f} %" for name, n in counts.items()]
        took = 1000 * (time.perf_counter() - start)
        status.value = f"{len(labels)} queries: {', '.join(shares)}. Redrawn in {took:.0f} ms."

    for slider in sliders.values():
        slider.observe(redraw, names="value")
    redraw()
    rows = [widgets.HBox(list(sliders.values())[i : i + 2]) for i in (0, 2)]
    return widgets.VBox([*rows, status, picture])


def show_sensitivity_explorer(points: torch.Tensor, labels: torch.Tensor, clusters: Clusters):
    """The explorer where a kernel can answer it, and one sentence in the built book.

    >>> box = show_sensitivity_explorer(query.points, query.labels, queen.clusters)
    """
    return in_a_kernel(
        lambda: sensitivity_explorer(points, labels, clusters), "Use the figure below instead."
    )


def svg(
    points: torch.Tensor, labels: torch.Tensor, clusters: Clusters, **settings
) -> tuple[str, dict[str, int]]:
    """The discs of up to ten classes after these queries, as SVG, and how many met which fate.

    A panel shows one class in mean distances: its sensitive disc, and every query with that
    label. The bar under it is CQS_k, full at twice the threshold; the notch is the threshold.

    Arguments: `points`, `labels` and `clusters`, as for `sensitivity_explorer`; `settings`,
    spacing, threshold, alpha, beta, `queen_book.figures.fates.DEFAULTS` fill in.

    >>> picture, counts = svg(query.points, query.labels, queen.clusters, threshold=0.1)
    >>> sum(counts.values()) == len(query.labels)
    True
    """
    settings = {**DEFAULTS, **settings}
    fates, ledger = query_fates(points, labels, clusters, **settings)
    local = in_mean_distances(points, labels, clusters)
    classes, shown = labels.cpu().numpy(), min(len(clusters.radii), PANELS)
    columns = min(shown, COLUMNS)
    width = columns * (SIDE + GAP) + GAP
    height = -(-shown // columns) * (SIDE + BAR + GAP) + GAP + 24
    parts = [_legend(height - 8)]
    for k in range(shown):
        corner = (GAP + k % columns * (SIDE + GAP), GAP + k // columns * (SIDE + BAR + GAP))
        mine = classes == k
        parts.append(_panel(k, corner, local[mine], fates[mine], settings, ledger))
    counts = dict(zip(FATES, np.bincount(fates, minlength=len(FATES)).tolist(), strict=True))
    alt = ", ".join(f"{count} {name}" for name, count in counts.items())
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Sensitive discs and queries: {alt}." '
        f'style="background:#fff;width:100%;max-width:{width}px;height:auto" '
        f'font-family="sans-serif" font-size="12" fill="none">{"".join(parts)}</svg>'
    )
    return picture, counts


def _panel(
    k: int,
    corner: tuple[float, float],
    local: np.ndarray,
    fates: np.ndarray,
    settings: dict,
    ledger: SensitivityLedger,
) -> str:
    scale = SIDE / 2 / REACH
    seen = np.abs(local).max(1) < REACH if len(local) else np.zeros(0, dtype=bool)
    at, fates = SIDE / 2 + scale * local[seen] * (1, -1), fates[seen]
    disc = scale * settings["beta"]
    ring = disc * settings["spacing"]
    circle = "M{0:.1f} {1:.1f}m-{2:.2f} 0a{2:.2f} {2:.2f} 0 1 0 {3:.2f} 0a{2:.2f} {2:.2f} 0 1 0 -{3:.2f} 0"  # noqa: E501
    rings = "".join(circle.format(x, y, ring, 2 * ring) for x, y in at[fates == 2].tolist())
    paths = [_path(rings, FATE_COLORS[2], 0.8, "r")]
    for number, (mark, stroke) in enumerate((("h0", 2.5), ("h0", 3.5), ("h0", 4.5), (CROSS, 2))):
        dots = "".join(f"M{x:.1f} {y:.1f}{mark}" for x, y in at[fates == number].tolist())
        paths.append(_path(dots, FATE_COLORS[number], stroke, FATES[number]))

    threshold, cqs = settings["threshold"], float(ledger.cqs[k])
    full = 2 * threshold if threshold > 0 else 1.0
    color = FATE_COLORS[3] if cqs > threshold else FATE_COLORS[2]
    return (
        f'<g transform="translate({corner[0]:.0f} {corner[1]:.0f})">'
        f'<svg width="{SIDE}" height="{SIDE}"><rect width="{SIDE}" height="{SIDE}" stroke="#bbb"/>'
        f'<circle cx="{SIDE / 2}" cy="{SIDE / 2}" r="{disc:.1f}" stroke="#222" stroke-width="1.5"/>'
        f'{"".join(paths)}<text x="5" y="15" fill="#222" font-weight="bold">{k}</text></svg>'
        f'<rect y="{SIDE + 4}" width="{SIDE * min(cqs / full, 1):.1f}" height="7" fill="{color}"/>'
        f'<path d="M{SIDE * min(threshold / full, 1):.1f} {SIDE + 1}v13" stroke="#222"/>'
        f'<text y="{SIDE + 24}" fill="#222" font-size="11">CQS {cqs:.3f}</text></g>'
    )


CROSS = "m-3 -3l6 6m0 -6l-6 6"


def _path(data: str, color: str, width: float, name: str) -> str:
    return (
        f'<path d="{data}" stroke="{color}" stroke-width="{width}" stroke-linecap="round">'
        f"<title>{name}</title></path>"
        if data
        else ""
    )


def _legend(y: float) -> str:
    texts, x = [], GAP
    for name, color in zip(FATES, FATE_COLORS, strict=True):
        texts.append(
            f'<circle cx="{x + 5}" cy="{y - 4}" r="5" fill="{color}"/>'
            f'<text x="{x + 15}" y="{y}" fill="#222">{name}</text>'
        )
        x += 40 + 7 * len(name)
    return "".join(texts)
