"""A ledger's history as plain numbers and tensors, and back, every entry checked."""

from typing import Any

import torch

from queen_ref.checks import check_floats, check_labels
from queen_ref.queen.point_grid import PointGrid

# A float32 query may lie inside in its own arithmetic and a hair outside in ours.
SLACK = 1e-3


def ledger_state(ledger) -> dict:
    """`SensitivityLedger.state_dict`: settings, regions, CQS, recorded points."""
    points, labels = ledger.points
    return {
        "settings": dict(ledger.settings),
        "centers": ledger.centers.cpu(),
        "sensitive": ledger.sensitive.cpu(),
        "cqs": ledger.cqs.cpu(),
        "points": points.cpu(),
        "labels": labels.cpu(),
    }


def history_from(state: Any, ledger) -> tuple:
    """What `ledger.restore` takes, from a state saved by a ledger of the same regions.

    Errors: `ValueError` for the first entry that does not fit. The ledger is only read.
    """
    own = ledger_state(ledger)
    if not isinstance(state, dict) or set(state) != set(own):
        raise ValueError(f"state: expected a dict with {sorted(own)}")
    if state["settings"] != ledger.settings:
        raise ValueError(f"state: expected settings {ledger.settings}, got {state['settings']!r}")
    for name in ("centers", "sensitive", "cqs", "points"):
        check_floats(f"state: {name}", state[name])
    for name in ("centers", "sensitive"):
        if not torch.equal(state[name].double(), own[name]):
            raise ValueError(f"state: expected the same {name} as this ledger's")

    device = ledger.centers.device
    cqs, points = (state[name].to(device).double() for name in ("cqs", "points"))
    labels = state["labels"]
    if cqs.shape != ledger.cqs.shape or bool((cqs < 0).any()):
        raise ValueError(f"state: expected cqs of {ledger.num_classes} non-negative numbers")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"state: expected points (N, 2), got {tuple(points.shape)}")
    if len(points) or not isinstance(labels, torch.Tensor) or len(labels):
        check_labels(labels, len(points), ledger.num_classes)

    labels = labels.to(device).long()
    distance = torch.hypot(*(points - ledger.centers[labels]).unbind(1))
    if bool((distance > ledger.sensitive[labels] * (1 + SLACK)).any()):
        raise ValueError("state: expected recorded points inside their regions")
    recorded = torch.bincount(labels, minlength=ledger.num_classes)
    if bool((recorded > ledger.capacity).any()):
        raise ValueError("state: expected no more points than the regions can hold")
    grid = PointGrid(ledger.centers, ledger.sensitive, ledger.spacing)
    return cqs, recorded, grid.with_points(points, labels)
