"""PRADA (Juuti et al., 2019): an honest user's nearest distances are normal, a thief's are not.

Each account has a growing set G_c for every predicted class c, with the distances D_c of those who
joined it and a threshold T_c. A query x of class c adds its distance to the nearest in G_c,

    d_min = min over y in G_c of || x - y ||_2 ,

to the account's list D, and joins G_c itself if d_min > T_c; then
T_c = max(T_c, mean(D_c) - std(D_c)). The first of a class joins, with distance 0 and no entry in D.
With more than 100 entries in D, those farther than 3 std(D) from its mean are left out, and
Shapiro and Wilk's statistic of the rest is compared with a normal distribution's:

    W(D') < delta :  alarm.

Images that a thief has made out of others (JBDA) lie at a few typical distances. Natural images,
which the random policy sends, lie as an honest user's do.

The rule is sequential: T_c moves with every query that joins. Distances are taken a batch at a
time, and the rest is a loop over numbers.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from queen_ref.checks import check_images, check_number
from queen_ref.defenses.detector import Detector, honest_streams
from queen_ref.models import Model
from queen_ref.modes import evaluating

ENOUGH = 100  # distances; with more, D is tested
DELTA = 0.9  # the lowest of the paper's, where there are too few images to set one
HONEST = (50, 500)  # accounts and questions that set delta


@dataclass(frozen=True)
class GrowingSet:
    """G_c, sums of D_c, and T_c.

    Arguments: `points` (M, D); `count`, `total` and `squares`, of the distances D_c.

    >>> grown, nearest = GrowingSet(torch.zeros(0, 2)).extended(torch.tensor([[0.0, 0], [3.0, 4]]))
    >>> len(grown.points), nearest
    (2, array([nan,  5.]))
    """

    points: Tensor
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    threshold: float = 0.0

    def extended(self, points: Tensor) -> tuple["GrowingSet", np.ndarray]:
        """The set after more queries (n, D) of its class, and d_min (n,), nan for its first."""
        inner = torch.cdist(points, points).double().cpu().numpy()
        if len(self.points):
            nearest = torch.cdist(points, self.points.to(points)).amin(1).double().cpu().numpy()
        else:
            nearest = np.full(len(points), np.inf)
        count, total, squares, limit = self.count, self.total, self.squares, self.threshold
        joined = []
        for row, distance in enumerate(nearest):  # `nearest` changes on the way
            first = count == 0
            if first or distance > limit:
                joined.append(row)
                added = 0.0 if first else float(distance)
                count, total, squares = count + 1, total + added, squares + added**2
                mean = total / count
                limit = max(limit, mean - max(squares / count - mean**2, 0.0) ** 0.5)
                nearest[row + 1 :] = np.minimum(nearest[row + 1 :], inner[row, row + 1 :])
        grown = torch.cat([self.points.to(points), points[joined]])
        nearest[np.isinf(nearest)] = np.nan
        return GrowingSet(grown, count, total, squares, limit), nearest


@dataclass(frozen=True)
class Memory:
    """What an account is remembered by: its growing sets, and D in order of size.

    >>> len(Memory().distances)
    0
    """

    sets: dict[int, GrowingSet] = field(default_factory=dict)
    distances: np.ndarray = field(default_factory=lambda: np.zeros(0))


class PRADA(Detector):
    """The alarm where an account's nearest distances are not normal, and nothing afterwards.

    Arguments: `images`, the victim's own (N, C, H, W): honest accounts drawn from them set delta;
    `delta`, set by hand instead; `after` and `seed`, see `Detector`. `None` for delta takes the
    lowest W that any of 50 honest accounts meets in 500 questions.

    >>> detector = PRADA(victim, train_images)
    >>> detector.delta < 1
    True
    """

    name = "prada"

    def __init__(
        self,
        victim: Model,
        images: Tensor | None = None,
        seed: int = 0,
        delta: float | None = None,
        after: str = "random",
    ):
        super().__init__(victim, after, seed)
        if delta is not None:
            check_number("delta", delta, low=0, high=1)
        elif images is None:
            raise ValueError("delta: expected a number, or images of honest users to set it with")
        self.delta = self._set_on(images) if delta is None and images is not None else delta

    def describe(self, images: Tensor) -> Tensor:
        """The pixels, (B, C H W)."""
        return images.flatten(1).to(torch.promote_types(images.dtype, torch.float32))

    def watch(self, memory: Memory | None, points: Tensor, labels: Tensor) -> tuple[Tensor, Memory]:
        statistics, after = self._follow(memory or Memory(), points, labels)
        return torch.from_numpy(statistics < self.delta), after

    def _follow(self, memory: Memory, points: Tensor, labels: Tensor) -> tuple[np.ndarray, Memory]:
        """W after every query (B,), nan where D is too short, and the memory afterwards."""
        sets, distances = dict(memory.sets), np.full(len(points), np.nan)
        classes = labels.cpu().numpy()
        for label in np.unique(classes).tolist():
            rows = np.flatnonzero(classes == label)
            grown = sets.get(label, GrowingSet(points[:0]))
            sets[label], distances[rows] = grown.extended(points[torch.from_numpy(rows)])
        statistics, known = statistics_of(memory.distances, distances)
        return statistics, Memory(sets, known)

    @torch.no_grad()
    def _set_on(self, images: Tensor) -> float:
        """delta: the lowest W of honest accounts that ask these images."""
        check_images(images)
        with evaluating(*self._models()):
            points, labels = self.describe(images), self._clean(images).argmax(1)
        streams = honest_streams(len(images), *HONEST, seed=self.seed)
        seen = [self._follow(Memory(), points[r], labels[r])[0] for r in streams]
        met = np.concatenate(seen)
        met = met[~np.isnan(met)]
        return float(met.min()) if len(met) else DELTA


def statistics_of(known: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W after every further distance (n,), and all distances in order of size.

    Arguments: `known` (m,), in order of size; `more` (n,), in the order of arrival, nan where a
    query has none. W is nan as long as there are not more than `ENOUGH`.

    >>> statistics_of(np.array([1.0, 3.0]), np.array([2.0, np.nan]))
    (array([nan, nan]), array([1., 2., 3.]))
    """
    there = len(known)
    ordered = np.concatenate([known, np.empty(len(more))])
    statistics = np.full(len(more), np.nan)
    total, squares = float(known.sum()), float(known @ known)
    for row, distance in enumerate(more):
        if distance == distance:
            place = ordered[:there].searchsorted(distance)
            ordered[place + 1 : there + 1] = ordered[place:there]
            ordered[place] = distance
            there, total, squares = there + 1, total + distance, squares + distance**2
        if there > ENOUGH:
            mean = total / there
            reach = 3 * max(squares / there - mean**2, 0.0) ** 0.5
            kept = ordered[:there]
            if kept[0] < mean - reach:
                kept = kept[kept.searchsorted(mean - reach) :]
            if kept[-1] > mean + reach:
                kept = kept[: kept.searchsorted(mean + reach, "right")]
            statistics[row] = shapiro_wilk(kept)
    return statistics, ordered[:there]


def shapiro_wilk(ordered: np.ndarray) -> float:
    """Shapiro and Wilk's W of 6 numbers or more, in order of size: 1 if they lie as normal ones.

    W = (sum_i a_i x_(i))^2 / sum_i (x_i - mean)^2. Where all are equal it is 1.

    >>> round(shapiro_wilk(np.array([1.0, 2, 3, 4, 5, 6, 7, 8])), 3)
    0.975
    """
    spread = float(ordered @ ordered) - float(ordered.sum()) ** 2 / len(ordered)
    if spread <= 1e-12 * float(ordered @ ordered):  # equal up to rounding
        return 1.0
    return float(coefficients(len(ordered)) @ ordered) ** 2 / spread


@lru_cache(maxsize=4096)
def coefficients(n: int) -> np.ndarray:
    """a (n,) of `shapiro_wilk` for n >= 6, by Royston's approximation (1995, algorithm AS R94).

    >>> a = coefficients(20)
    >>> round(float(a @ a), 6), bool(np.allclose(a, -a[::-1]))
    (1.0, True)
    """
    places = (torch.arange(1, n + 1, dtype=torch.double) - 0.375) / (n + 0.25)
    m = torch.special.ndtri(places).numpy()  # about the expected values of ordered normal draws
    length, u = float(m @ m), n**-0.5
    last = np.polyval([-2.706056, 4.434685, -2.071190, -0.147981, 0.221157, 0], u)
    before = np.polyval([-3.582633, 5.682633, -1.752461, -0.293762, 0.042981, 0], u)
    last, before = last + m[-1] / length**0.5, before + m[-2] / length**0.5
    left = (length - 2 * m[-1] ** 2 - 2 * m[-2] ** 2) / (1 - 2 * last**2 - 2 * before**2)
    a = m / left**0.5
    a[[0, 1, -2, -1]] = -last, -before, before, last
    return a
