"""Recorded points in a grid whose cells are so small that each holds at most one.

Recorded points of one class lie farther than r apart. A square of side 0.7 r has a diagonal
of 0.99 r, so it can hold only one of them, and whatever lies within r of a query lies at
most two cells away. To ask "is a recorded point within r?" is to look into 25 cells, however
many points there are. Cells are kept as sorted integers: looking one up is a binary search.
"""

import torch
from torch import Tensor

SIDE = 0.7  # of a cell, in units of r: below 1 / sqrt(2), above 1 / 2


class PointGrid:
    """Points (N, 2) with their classes (N,), in the order of their cells' numbers.

    Arguments: `centers` (K, 2); `reach` (K,), no point is farther from its center;
    `spacing` r (K,), all lengths. A grid never changes: `with_points` makes a new one.

    >>> grid = PointGrid(centers, reach=radii, spacing=radii / 10)
    >>> grid.any_within(points, labels, radii[labels] / 10).any()   # bool (B,): none recorded yet
    tensor(False)
    """

    def __init__(self, centers: Tensor, reach: Tensor, spacing: Tensor):
        self.centers = centers
        self.side = torch.where(spacing > 0, SIDE * spacing, 1.0)
        # Cells on each side of a center, with a margin for the neighbours that are looked at.
        half = float((reach / self.side).max()) + 4
        if len(centers) * (2 * half + 1) ** 2 >= 2**62:
            raise ValueError(
                "spacing: expected r large enough to number the cells of the sensitive region, "
                f"got s / r up to {half:.3g}"
            )
        self.half = int(half)
        steps = torch.arange(-2, 3, device=centers.device)
        self.neighbours = torch.cartesian_prod(steps, steps)  # (25, 2)
        self.points = centers.new_zeros(0, 2)
        self.labels = torch.zeros(0, dtype=torch.long, device=centers.device)
        self.keys = self.labels

    def any_within(self, points: Tensor, labels: Tensor, radius: Tensor) -> Tensor:
        """Does a point of the same class lie within `radius` (B,) <= r? -> bool (B,)."""
        if len(self.keys) == 0:
            return torch.zeros_like(labels, dtype=torch.bool)
        cells = self._cells(points, labels)[:, None] + self.neighbours  # (B, 25, 2)
        keys = self._keys(cells, labels[:, None])
        index = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
        gap = self.points[index].to(points.dtype) - points[:, None]
        near = torch.hypot(*gap.unbind(-1)) <= radius[:, None]
        return ((self.keys[index] == keys) & near).any(1)

    def with_points(self, points: Tensor, labels: Tensor) -> "PointGrid":
        """A grid that also holds these points (B, 2) of classes (B,)."""
        keys = self._keys(self._cells(points, labels), labels)
        keys, order = keys.sort()
        larger = object.__new__(PointGrid)
        larger.__dict__.update(self.__dict__)
        # Merge two sorted lists in one pass: a full sort would grow dear with N.
        new = torch.searchsorted(self.keys, keys) + torch.arange(len(keys), device=keys.device)
        is_new = torch.zeros(len(self.keys) + len(keys), dtype=torch.bool, device=keys.device)
        is_new[new] = True
        for name, added in (
            ("keys", keys),
            ("points", points[order]),
            ("labels", labels[order]),
        ):
            old = getattr(self, name)
            merged = old.new_empty(len(is_new), *old.shape[1:])
            merged[new], merged[~is_new] = added.to(old.dtype), old
            setattr(larger, name, merged)
        return larger

    def _cells(self, points: Tensor, labels: Tensor) -> Tensor:
        offset = (points.double() - self.centers[labels]) / self.side[labels][:, None]
        return offset.floor().long()

    def _keys(self, cells: Tensor, labels: Tensor) -> Tensor:
        width = 2 * self.half + 1
        column, row = (cells + self.half).unbind(-1)
        return (labels * width + column) * width + row


def close_earlier(points: Tensor, labels: Tensor, radius: Tensor) -> Tensor:
    """Entry (i, j): is j an earlier query of i's class within `radius` (B,) of i? (B, B) bool.

    What `queen_ref.sequential.first_come` asks for, of points (B, 2) with labels (B,).

    >>> close_earlier(torch.zeros(2, 2), torch.tensor([3, 3]), torch.ones(2))
    tensor([[False, False],
            [ True, False]])
    """
    gap = points[:, None] - points
    near = torch.hypot(*gap.unbind(-1)) <= radius[:, None]
    return (near & (labels[:, None] == labels)).tril(-1)
