"""Clients' histories as a few tensors, and how they come back, every entry checked.

The histories of a hundred thousand clients are one list of points, with how many are whose. A
tensor for each of them would take minutes to write and more to read.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from queen_ref.checks import check_floats, check_labels
from queen_ref.queen.point_grid import PointGrid
from queen_ref.queen.regions import Regions

# A float32 query may lie inside in its own arithmetic and a hair outside in ours.
SLACK = 1e-3
PACKED = ("sizes", "points", "labels", "cqs")


def pack(histories: Sequence[PointGrid], regions: Regions) -> dict[str, Tensor]:
    """Many histories over the same regions as four CPU tensors.

    `sizes` (M,), points of each; and of all N points, one history after the other, `points`
    (N, 2), `labels` (N,) and `cqs` (N,), that of the point's class.

    >>> ledger = queen.new_ledger()
    >>> pack([ledger.snapshot()], ledger.regions)["sizes"]
    tensor([0])
    """
    tables = [history.table for history in histories]
    whole = PointGrid(regions.no_points.cells, torch.cat([regions.no_points.table, *tables], 1))
    return {
        "sizes": torch.tensor([table.shape[1] for table in tables], dtype=torch.long),
        "points": whole.points.cpu().contiguous(),
        "labels": whole.labels.cpu(),
        "cqs": whole.table[3].view(torch.double).cpu().clone(),
    }


def unpack(state: Any, regions: Regions) -> list[PointGrid]:
    """The histories that `pack` gave. Errors: `ValueError` for the first entry that does not fit.

    >>> ledger = queen.new_ledger()
    >>> [history] = unpack(pack([ledger.snapshot()], ledger.regions), ledger.regions)
    """
    if not isinstance(state, dict) or set(state) != set(PACKED):
        raise ValueError(f"state: expected histories with {sorted(PACKED)}")
    sizes, points, labels, cqs = (state[name] for name in PACKED)
    _check_points(points, labels, regions)
    check_floats("state: cqs", cqs)
    if cqs.shape != (len(points),) or bool((cqs < 0).any()):
        raise ValueError(f"state: expected cqs of {len(points)} points, non-negative numbers")
    whole = isinstance(sizes, Tensor) and sizes.dtype == torch.long and sizes.ndim == 1
    if not whole or bool((sizes < 0).any()) or int(sizes.sum()) != len(points):
        raise ValueError(f"state: expected sizes of histories that add up to {len(points)} points")

    cells, device = regions.no_points.cells, regions.centers.device
    points, labels = points.to(device).double(), labels.to(device).long()
    owners = torch.arange(len(sizes)).repeat_interleave(sizes).to(device)
    keys = cells.keys(points, labels)
    order = keys.argsort(stable=True)
    order = order[owners[order].argsort(stable=True)]  # by owner, then by cell, and so by class
    numbers = torch.stack([*points.T, cqs.to(device).double()]).view(torch.long)
    table = torch.cat([keys[None], numbers])[:, order]

    classes = len(regions.centers)
    of_whom, counts = (owners * classes + labels)[order].unique_consecutive(return_counts=True)
    if bool((counts > regions.capacity[of_whom % classes]).any()):
        raise ValueError("state: expected no more points than the regions can hold")
    if bool((table[3] != table[3][counts.cumsum(0) - counts].repeat_interleave(counts)).any()):
        raise ValueError("state: expected one cqs for all points of a class")
    # A copy of each: a part would keep the memory of the whole alive.
    return [
        PointGrid(cells, part.clone()) if part.shape[1] else regions.no_points
        for part in table.split(sizes.tolist(), 1)
    ]


def history_from(state: Any, own: dict[str, Any], regions: Regions) -> PointGrid:
    """The history in a state saved by a ledger of the same regions.

    Arguments: `state`, what `SensitivityLedger.state_dict` gave there; `own`, what it gives here;
    `regions`, this ledger's. Errors: `ValueError` for the first entry that does not fit.
    """
    if not isinstance(state, dict) or set(state) != set(own):
        raise ValueError(f"state: expected a dict with {sorted(own)}")
    if state["settings"] != own["settings"]:
        raise ValueError(f"state: expected settings {own['settings']}, got {state['settings']!r}")
    for name in ("centers", "sensitive", "cqs"):
        check_floats(f"state: {name}", state[name])
    for name in ("centers", "sensitive"):
        if not torch.equal(state[name].double(), own[name]):
            raise ValueError(f"state: expected the same {name} as this ledger's")
    cqs, points, labels = state["cqs"], state["points"], state["labels"]
    if cqs.shape != own["cqs"].shape or bool((cqs < 0).any()):
        raise ValueError(f"state: expected cqs of {len(own['cqs'])} non-negative numbers")
    _check_points(points, labels, regions)
    if bool((cqs > 0)[labels.long().bincount(minlength=len(cqs)) == 0].any()):
        raise ValueError("state: expected no cqs of a class without recorded points")
    packed = {
        "sizes": torch.tensor([len(points)]),
        "points": points,
        "labels": labels,
        "cqs": cqs[labels.long()],
    }
    return unpack(packed, regions)[0]


def _check_points(points: Any, labels: Any, regions: Regions) -> None:
    check_floats("state: points", points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"state: expected points (N, 2), got {tuple(points.shape)}")
    if len(points) or not isinstance(labels, Tensor) or len(labels):
        check_labels(labels, len(points), len(regions.centers))
    centers, sensitive = regions.centers.cpu(), regions.sensitive.cpu()
    labels = labels.cpu().long()
    distance = torch.hypot(*(points.cpu().double() - centers[labels]).unbind(1))
    if bool((distance > sensitive[labels] * (1 + SLACK)).any()):
        raise ValueError("state: expected recorded points inside their regions")
