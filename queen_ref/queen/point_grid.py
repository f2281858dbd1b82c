"""Recorded points in a grid whose cells are so small that each holds at most one.

Recorded points of one class lie farther than r apart. A square of side 0.7 r has a diagonal
of 0.99 r, so it can hold only one of them, and whatever lies within r of a query lies at
most two cells away. To ask "is a recorded point within r?" is to look into 25 cells, however
many points there are. Cells are kept as sorted integers: looking one up is a binary search.
"""

import torch
from torch import Tensor

SIDE = 0.7  # of a cell, in units of r: below 1 / sqrt(2), above 1 / 2


class Cells:
    """The numbers of the cells: one plan for all clients' grids over the same regions.

    Arguments: `centers` (K, 2); `reach` (K,), no point is farther from its center;
    `spacing` r (K,), all lengths.

    >>> cells = Cells(centers, reach=radii, spacing=radii / 10)
    >>> cells.classes(cells.keys(centers[:3], torch.arange(3)))
    tensor([0, 1, 2])
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
        self.width = 2 * self.half + 1
        steps = torch.arange(-2, 3, device=centers.device)
        self.neighbours = torch.cartesian_prod(steps, steps)  # (25, 2)

    def keys(self, points: Tensor, labels: Tensor) -> Tensor:
        """The cells (B,) of points (B, 2) of classes (B,)."""
        return self._number(self._place(points, labels), labels)

    def around(self, points: Tensor, labels: Tensor) -> Tensor:
        """The cells (B, 25) within two steps of each point (B, 2)."""
        return self._number(self._place(points, labels)[:, None] + self.neighbours, labels[:, None])

    def classes(self, keys: Tensor) -> Tensor:
        """The classes (N,) of cells (N,)."""
        return keys.div(self.width**2, rounding_mode="floor")

    def _place(self, points: Tensor, labels: Tensor) -> Tensor:
        offset = (points.double() - self.centers[labels]) / self.side[labels][:, None]
        return offset.floor().long()

    def _number(self, places: Tensor, labels: Tensor) -> Tensor:
        column, row = (places + self.half).unbind(-1)
        return (labels * self.width + column) * self.width + row


class PointGrid:
    """Points (N, 2) with their classes (N,), in the order of their cells' numbers.

    Every class that has points may have a number beside them, its `tally`: in a ledger the CQS_k.
    All of it is one tensor, for a tensor of its own costs 500 bytes however little it holds.
    A grid never changes: `with_points` makes a new one.

    >>> grid = PointGrid(Cells(centers, reach=radii, spacing=radii / 10))
    >>> grid.any_within(points, labels, radii[labels] / 10).any()   # bool (B,): none recorded yet
    tensor(False)
    """

    __slots__ = ("cells", "table")

    def __init__(self, cells: Cells, table: Tensor | None = None):
        self.cells = cells
        # Rows: the cell's number, x, y, the class's tally; the bits of the last three are doubles.
        empty = torch.zeros(4, 0, dtype=torch.long, device=cells.centers.device)
        self.table = empty if table is None else table

    @property
    def keys(self) -> Tensor:
        """The numbers of the cells (N,), in ascending order."""
        return self.table[0]

    @property
    def points(self) -> Tensor:
        return self.table[1:3].view(torch.double).T

    @property
    def labels(self) -> Tensor:
        return self.cells.classes(self.keys)

    @property
    def tally(self) -> Tensor:
        """The number of every class (K,), 0 of one without points."""
        none = torch.zeros(len(self.cells.centers), dtype=torch.double, device=self.table.device)
        return none.scatter_(0, self.labels, self.table[3].view(torch.double))

    def any_within(self, points: Tensor, labels: Tensor, radius: Tensor) -> Tensor:
        """Does a point of the same class lie within `radius` (B,) <= r? -> bool (B,)."""
        if self.table.shape[1] == 0:
            return torch.zeros_like(labels, dtype=torch.bool)
        keys = self.cells.around(points, labels)
        index = torch.searchsorted(self.keys, keys).clamp_max(self.table.shape[1] - 1)
        gap = self.points[index].to(points.dtype) - points[:, None]
        near = torch.hypot(*gap.unbind(-1)) <= radius[:, None]
        return ((self.keys[index] == keys) & near).any(1)

    def with_points(self, points: Tensor, labels: Tensor, tally: Tensor) -> "PointGrid":
        """A grid that also holds these points (B, 2) of classes (B,), and another tally (K,)."""
        keys, order = self.cells.keys(points, labels).sort()
        places = points[order].double().T.contiguous().view(torch.long)
        added = torch.cat([keys[None], places, torch.zeros_like(keys)[None]])
        # Merge two sorted lists in one pass: a full sort would grow dear with N.
        new = torch.searchsorted(self.keys, keys) + torch.arange(len(keys), device=keys.device)
        table = self.table.new_empty(4, self.table.shape[1] + len(keys))
        is_new = torch.zeros(table.shape[1], dtype=torch.bool, device=keys.device)
        is_new[new] = True
        table[:, new], table[:, ~is_new] = added, self.table
        table[3] = tally.double()[self.cells.classes(table[0])].view(torch.long)
        return PointGrid(self.cells, table)


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
