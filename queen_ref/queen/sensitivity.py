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

from queen_ref.checks import check_choice, check_floats, check_labels, check_number
from queen_ref.queen.history import History, history_from
from queen_ref.queen.point_grid import PointGrid, close_earlier
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


class SensitivityLedger:
    """One client's history: the recorded points of every class and the share they cover.

    Arguments: `centers` (K, 2) and `radii` (K,), the clusters' mean distances rho_k; `spacing`
    r, a fraction of s_k for units="relative", a length of the map for "absolute";
    `threshold` on CQS_k; `alpha`, `beta` as above.
    A class with rho_k = 0 has an empty region.

    >>> ledger = SensitivityLedger(centers, radii, spacing=0.1, threshold=0.2)
    >>> verdict = ledger.observe(points, labels)        # (B, 2), (B,) -> three bool (B,)
    """

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
        check_floats("centers", centers)
        check_floats("radii", radii)
        if centers.ndim != 2 or centers.shape[1] != 2 or len(centers) == 0:
            raise ValueError(f"centers: expected shape (K, 2), got {tuple(centers.shape)}")
        if radii.shape != (len(centers),) or bool((radii < 0).any()):
            raise ValueError(f"radii: expected {len(centers)} non-negative mean distances")
        check_number("spacing", spacing, low=0, above=True)
        check_number("threshold", threshold, low=0)
        check_number("alpha", alpha, low=0, above=True)
        check_number("beta", beta, low=0, above=True)
        check_choice("units", units, ("relative", "absolute"))
        self.centers = centers.detach().double()
        self.sensitive = beta * radii.detach().to(centers.device).double()  # s_k (K,)
        relative = units == "relative"
        self.spacing = (
            self.sensitive * spacing if relative else torch.full_like(self.sensitive, spacing)
        )  # r of each class, as a length (K,)
        self.threshold, self.alpha = threshold, alpha
        self.settings = dict(
            spacing=spacing, threshold=threshold, alpha=alpha, beta=beta, units=units
        )
        self.cqs = torch.zeros_like(self.sensitive)
        self.recorded = torch.zeros(len(centers), dtype=torch.long, device=centers.device)
        self.point_grid = self._no_points()

    @property
    def num_classes(self) -> int:
        return len(self.centers)

    @property
    def points(self) -> tuple[Tensor, Tensor]:
        """Recorded points (N, 2) and their classes (N,)."""
        return self.point_grid.points, self.point_grid.labels

    @property
    def capacity(self) -> Tensor:
        """The most points a class can ever record, 1 + 4 threshold (s_k / r)^2, as (K,).

        Each recorded point adds at least (1/2)^2 (r / s_k)^2 to CQS_k, and none is recorded
        above the threshold.
        """
        shares = (self.sensitive / self.spacing).nan_to_num(0.0) ** 2
        return torch.where(self.sensitive > 0, 1 + 4 * self.threshold * shares, 0.0)

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
        kept = first_come(close, candidates=self.cqs[k] <= self.threshold)
        record, cqs = self._spend(kept, k, share)
        still_novel = ~(close & record).any(1)

        novel[rows] = still_novel
        reverse[rows] = still_novel & ~record
        if bool(record.any()):
            self.point_grid = self.point_grid.with_points(z[record].double(), k[record])
            self.recorded = self.recorded + torch.bincount(k[record], minlength=self.num_classes)
            self.cqs = cqs
        return inside, novel, reverse

    def _spend(self, kept: Tensor, labels: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Record the kept queries in order until their class passes the threshold.

        One by one on purpose: sums of floats depend on their order, and this one decides.
        """
        cqs, record = self.cqs.tolist(), torch.zeros_like(kept)
        rows = kept.nonzero().flatten()
        spent = []
        for row, k, share in zip(
            rows.tolist(), labels[rows].tolist(), shares[rows].tolist(), strict=True
        ):
            if cqs[k] <= self.threshold:
                cqs[k] += share
                spent.append(row)
        record[spent] = True
        return record, self.cqs.new_tensor(cqs)

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
        self.restore(history_from(state, self.state_dict(), self.capacity, self._no_points()))

    def snapshot(self) -> History:
        """The history as it is now, for `restore`. Costs nothing."""
        return History(self.cqs, self.recorded, self.point_grid)

    def restore(self, history: History) -> None:
        """Go back to a snapshot."""
        self.cqs, self.recorded, self.point_grid = history

    def _no_points(self) -> PointGrid:
        return PointGrid(self.centers, self.sensitive, self.spacing)
