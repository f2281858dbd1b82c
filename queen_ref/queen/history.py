"""A ledger's history, and how it comes back from plain numbers, every entry checked."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from queen_ref.checks import check_floats, check_labels
from queen_ref.queen.point_grid import PointGrid

# A float32 query may lie inside in its own arithmetic and a hair outside in ours.
SLACK = 1e-3


class History(NamedTuple):
    """What a ledger remembers: CQS_k (K,), the recorded points of each class (K,), and where.

    Nothing of it is ever changed in place, so that keeping an old one costs nothing.
    """

    cqs: Tensor
    recorded: Tensor
    point_grid: PointGrid


def history_from(state: Any, own: dict[str, Any], capacity: Tensor, empty: PointGrid) -> History:
    """The history in a state saved by a ledger of the same regions.

    Arguments: `state`, what `SensitivityLedger.state_dict` gave there; `own`, what it gives here;
    `capacity` (K,), the most points that a class can hold; `empty`, a grid for them.
    Errors: `ValueError` for the first entry that does not fit.
    """
    if not isinstance(state, dict) or set(state) != set(own):
        raise ValueError(f"state: expected a dict with {sorted(own)}")
    if state["settings"] != own["settings"]:
        raise ValueError(f"state: expected settings {own['settings']}, got {state['settings']!r}")
    for name in ("centers", "sensitive", "cqs", "points"):
        check_floats(f"state: {name}", state[name])
    for name in ("centers", "sensitive"):
        if not torch.equal(state[name].double(), own[name]):
            raise ValueError(f"state: expected the same {name} as this ledger's")

    device, num_classes = capacity.device, len(capacity)
    cqs, points = (state[name].to(device).double() for name in ("cqs", "points"))
    labels = state["labels"]
    if cqs.shape != capacity.shape or bool((cqs < 0).any()):
        raise ValueError(f"state: expected cqs of {num_classes} non-negative numbers")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"state: expected points (N, 2), got {tuple(points.shape)}")
    if len(points) or not isinstance(labels, Tensor) or len(labels):
        check_labels(labels, len(points), num_classes)

    labels = labels.to(device).long()
    centers, sensitive = (own[name].to(device) for name in ("centers", "sensitive"))
    distance = torch.hypot(*(points - centers[labels]).unbind(1))
    if bool((distance > sensitive[labels] * (1 + SLACK)).any()):
        raise ValueError("state: expected recorded points inside their regions")
    recorded = torch.bincount(labels, minlength=num_classes)
    if bool((recorded > capacity).any()):
        raise ValueError("state: expected no more points than the regions can hold")
    return History(cqs, recorded, empty.with_points(points, labels))
