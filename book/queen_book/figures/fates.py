"""What becomes of each query of a client: the data behind chapter 3's figures and explorers."""

from __future__ import annotations

import numpy as np
import torch

from queen_ref import plots
from queen_ref.queen.features import Clusters
from queen_ref.queen.sensitivity import SensitivityLedger

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
SYMBOLS = {
    "spacing": "r<sub>k</sub> / s<sub>k</sub>",
    "threshold": "threshold",
    "alpha": "α",
    "beta": "β",
}
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

    Arguments: `points`, (B, 2) mapped queries; `labels`, (B,) of the victim; `clusters`, centers
    and mean distances; `settings`, spacing, threshold, alpha, beta of
    `queen_ref.SensitivityLedger`. Returns (B,) integers, numbers of `FATES`, and the ledger as it
    is afterwards.

    >>> fates, ledger = query_fates(points, labels, queen.clusters, threshold=0.1)
    >>> counts = np.bincount(fates, minlength=4)   # outside, not novel, recorded, reversed
    """
    ledger = SensitivityLedger(clusters.centers, clusters.radii, **settings)
    verdict = ledger.observe(points, labels)
    fates = verdict.inside.long() + verdict.novel.long() + verdict.reverse.long()
    return fates.cpu().numpy(), ledger


def in_mean_distances(points: torch.Tensor, labels: torch.Tensor, clusters: Clusters) -> np.ndarray:
    """(B, 2) positions (z - c_k) / rho_k: the sensitive disc of every class has radius beta.

    >>> local = in_mean_distances(points, labels, queen.clusters)
    >>> inside = np.hypot(*local.T) < 1
    """
    radius = clusters.radii[labels].clamp_min(1e-12)[:, None]
    return ((points - clusters.centers[labels]) / radius).cpu().numpy()


def cqs_history(
    points: torch.Tensor, labels: torch.Tensor, clusters: Clusters, sent: np.ndarray, **settings
) -> np.ndarray:
    """CQS of every class (T, K) after `sent` (T,) queries, increasing numbers up to B.

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


def circles(centers: np.ndarray, radius: float, corners: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """x and y of many circles as one broken line; centers (N, 2).

    >>> x, y = circles(np.zeros((3, 2)), radius=0.1)
    >>> x.shape
    (78,)
    """
    angle = np.append(np.linspace(0, 2 * np.pi, corners + 1), np.nan)  # nan lifts the pen
    x = centers[:, :1] + radius * np.cos(angle)
    y = centers[:, 1:] + radius * np.sin(angle)
    return x.ravel().round(3).astype("float32"), y.ravel().round(3).astype("float32")
