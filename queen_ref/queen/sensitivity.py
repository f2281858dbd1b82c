"""How much of the sensitive region has this client covered?

Around the center c_k of class k lies the sensitive disc of radius s_k = beta * rho_k. A query
that is mapped to z at distance d from c_k has the single query sensitivity

    SQS = 1/2 erfc( alpha (d - s_k) / s_k ),

at most 0.921 in the center (alpha = 1) and 1/2 on the rim. The ledger records queries that
fall inside the disc farther than r from all recorded ones, and adds up the covered share,

    CQS_k  +=  SQS^2 (r / s_k)^2 .

Once CQS_k is above the threshold nothing is recorded any more, and every further novel query
is to be answered with a reversed gradient.

The rules are sequential: a query's fate depends on those before it. Read as a loop:

    for z, k in arrival order:
        inside = |z - c_k| < s_k
        novel  = inside and no recorded point of class k within r of z
        if novel and CQS_k > threshold:  reverse
        elif novel:                      record z;  CQS_k += SQS^2 (r / s_k)^2

`SensitivityLedger.observe` gives exactly this loop's verdicts for a whole batch at once.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from queen_ref.checks import check_floats, check_labels, check_number
from queen_ref.queen.history import history_from
from queen_ref.queen.point_grid import PointGrid, close_earlier
from queen_ref.queen.regions import Regions
from queen_ref.sequential import first_come

CHUNK = 512  # queries judged at once: the in-batch comparison is quadratic in it


def single_query_sensitivity(
    distance: Tensor | float, radius: Tensor | float, alpha: float = 1.0
) -> Tensor:
    """SQS = 1/2 erfc(alpha (d - s) / s), in (0, 1); arguments broadcast.

    `distance` >= 0 and `radius` > 0 in the same unit.

    >>> single_query_sensitivity(torch.tensor([0.0, 1.0, 3.0]), 1.0)
    tensor([0.9214, 0.5000, 0.0023])
    """
    given = [v for v in (distance, radius) if isinstance(v, Tensor) and v.is_floating_point()]
    # A plain number takes the tensor's precision: rounded to another, it would move the rim.
    dtype = given[0].dtype if len(given) == 1 else None
    distance, radius = (
        v if isinstance(v, Tensor) else torch.as_tensor(v, dtype=dtype) for v in (distance, radius)
    )
    check_number("alpha", alpha, low=0, above=True)
    if not bool((distance >= 0).all()):
        raise ValueError("distance: expected non-negative numbers")
    if not bool((radius > 0).all() & radius.isfinite().all()):
        raise ValueError("radius: expected positive finite numbers")
    return sensitivity(distance, radius, alpha)


def sensitivity(distance: Tensor, radius: Tensor, alpha: float) -> Tensor:
    """`single_query_sensitivity` of numbers that are known to be good: nothing is checked."""
    return 0.5 * torch.erfc(alpha * (distance - radius) / radius)


@dataclass(frozen=True)
class Verdict:
    """What the ledger says of a batch: three boolean vectors (B,), in the order of arrival."""

    inside: Tensor
    novel: Tensor
    reverse: Tensor

    @property
    def recorded(self) -> Tensor:
        """Novel and not to be reversed, bool (B,). These points were recorded."""
        return self.novel & ~self.reverse

    def counts(self, turned: Tensor | None = None) -> list[int]:
        """How many queries there were, and how many inside, recorded and reversed.

        `turned` (B,): those that are reversed in fact, where it is not the ledger that decides.
        """
        reverse = self.reverse if turned is None else turned
        fates = torch.stack([self.inside, self.recorded, reverse]).sum(1)
        return [len(self.inside), *fates.tolist()]  # one wait for the device


class SensitivityLedger:
    """One client's history: the recorded points of every class and the share they cover.

    Arguments: `centers` (K, 2) and `radii` (K,), the clusters' mean distances rho_k; `spacing`
    r, a fraction of s_k for units="relative", a length of the map for "absolute";
    `threshold` on CQS_k; `alpha`, `beta` as above.
    A class with rho_k = 0 has an empty region. Threads that share a ledger take turns, as `Queen`
    sees to.

    >>> ledger = SensitivityLedger(centers, radii, spacing=0.1, threshold=0.2)
    >>> verdict = ledger.observe(points, labels)        # (B, 2), (B,) -> three bool (B,)
    """

    __slots__ = ("point_grid", "regions")

    def __init__(
        self,
        centers: Tensor,
        radii: Tensor,
        spacing: float = 0.1,
        threshold: float = 0.2,
        alpha: float = 1.0,
        beta: float = 1.0,
        units: str = "relative",
    ):
        self.regions = Regions(centers, radii, spacing, threshold, alpha, beta, units)
        self.point_grid = self.regions.no_points

    def fork(self, history: PointGrid | None = None) -> "SensitivityLedger":
        """A ledger of the same regions, which it shares, with that history or with none.

        >>> ledger = SensitivityLedger(centers, radii)
        >>> same = ledger.fork(ledger.snapshot())
        """
        ledger = object.__new__(SensitivityLedger)
        ledger.regions = self.regions
        ledger.point_grid = self.regions.no_points if history is None else history
        return ledger

    @property
    def centers(self) -> Tensor:
        """c_k (K, 2)."""
        return self.regions.centers

    @property
    def sensitive(self) -> Tensor:
        """s_k (K,), the radius of the sensitive disc."""
        return self.regions.sensitive

    @property
    def spacing(self) -> Tensor:
        """r of each class, as a length (K,)."""
        return self.regions.spacing

    @property
    def threshold(self) -> float:
        return self.regions.threshold

    @property
    def alpha(self) -> float:
        return self.regions.alpha

    @property
    def settings(self) -> dict[str, Any]:
        return self.regions.settings

    @property
    def cqs(self) -> Tensor:
        """CQS_k (K,), the covered share of each class's disc."""
        return self.point_grid.tally

    @property
    def recorded(self) -> Tensor:
        """How many points of each class are recorded (K,)."""
        return torch.bincount(self.point_grid.labels, minlength=self.num_classes)

    @property
    def num_classes(self) -> int:
        return len(self.centers)

    @property
    def points(self) -> tuple[Tensor, Tensor]:
        """Recorded points (N, 2) and their classes (N,)."""
        return self.point_grid.points, self.point_grid.labels

    @property
    def capacity(self) -> Tensor:
        """The most points a class can ever record (K,), see `Regions.capacity`."""
        return self.regions.capacity

    def observe(self, points: Tensor, labels: Tensor) -> Verdict:
        """Judge mapped queries (B, 2) with victim labels (B,), in the order of arrival.

        Exactly the sequential loop of this module's docstring, however the queries are cut
        into batches. Distances are computed in the dtype of `points`.
        Errors: `ValueError` for a bad input; then nothing is recorded.
        """
        check_floats("points", points, device=self.centers.device)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
            raise ValueError(f"points: expected shape (B, 2), B >= 1, got {tuple(points.shape)}")
        check_labels(labels, len(points), self.num_classes)
        if labels.device != points.device:
            raise ValueError(f"labels: expected a tensor on {points.device}, got {labels.device}")
        return self.judge(points, labels)

    def judge(self, points: Tensor, labels: Tensor) -> Verdict:
        """`observe` for points and labels that are known to be good: nothing is checked."""
        chunks = zip(points.detach().split(CHUNK), labels.long().split(CHUNK), strict=True)
        judged = [self._judge_chunk(*chunk) for chunk in chunks]
        return Verdict(*(torch.cat(column) for column in zip(*judged, strict=True)))

    def _judge_chunk(self, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        dtype = points.dtype
        radius, spacing = self.sensitive.to(dtype)[labels], self.spacing.to(dtype)[labels]
        distance = torch.hypot(*(points - self.centers.to(dtype)[labels]).unbind(1))
        inside = distance < radius
        novel, reverse = torch.zeros_like(inside), torch.zeros_like(inside)

        rows = inside.nonzero().flatten()
        if len(rows):
            known = self.point_grid.any_within(points[rows], labels[rows], spacing[rows])
            rows = rows[~known]
        if len(rows) == 0:
            return inside, novel, reverse

        # From here on only queries that are far from everything recorded before this batch.
        z, k = points[rows], labels[rows]
        sqs = sensitivity(distance[rows], radius[rows], self.alpha)
        share = (sqs * spacing[rows] / radius[rows]).double() ** 2
        close = close_earlier(z, k, spacing[rows])
        spent = self.cqs
        kept = first_come(close, candidates=spent[k] <= self.threshold)
        record, cqs = self._spend(spent, kept, k, share)
        still_novel = ~(close & record).any(1)

        novel[rows] = still_novel
        reverse[rows] = still_novel & ~record
        if bool(record.any()):
            self.point_grid = self.point_grid.with_points(z[record], k[record], cqs)
        return inside, novel, reverse

    def _spend(
        self, before: Tensor, kept: Tensor, labels: Tensor, shares: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Record the kept queries in order until their class passes the threshold.

        One by one on purpose: sums of floats depend on their order, and this one decides.
        """
        cqs, record = before.tolist(), torch.zeros_like(kept)
        rows = kept.nonzero().flatten()
        spent = []
        for row, k, share in zip(
            rows.tolist(), labels[rows].tolist(), shares[rows].tolist(), strict=True
        ):
            if cqs[k] <= self.threshold:
                cqs[k] += share
                spent.append(row)
        record[spent] = True
        return record, before.new_tensor(cqs)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on elsewhere: plain numbers and CPU tensors."""
        points, labels = self.points
        return {
            "settings": dict(self.settings),
            "centers": self.centers.cpu(),
            "sensitive": self.sensitive.cpu(),
            "cqs": self.cqs.cpu(),
            "points": points.cpu(),
            "labels": labels.cpu(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved history. It must come from the same regions and settings.

        Errors: `ValueError` that says what does not fit; then this ledger stays as it was.
        """
        self.restore(history_from(state, self.state_dict(), self.regions))

    def snapshot(self) -> PointGrid:
        """The history as it is now, for `restore` and `fork`. Costs nothing."""
        return self.point_grid

    def restore(self, history: PointGrid) -> None:
        """Go back to a snapshot."""
        self.point_grid = history
