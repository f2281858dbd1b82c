"""The drift gate, ours: is this client's stream still that of an honest one?

The ledger asks how much a client has covered, and so it accuses everybody who asks long enough. The
gate asks what he is like. Each query gives one bit, "as usual" or not: surer than the held-out
median, or inside its region (`queen_ref.queen.held_out`). Of honest clients the share p_0 is as
usual, of a thief with foreign images fewer. Wald's sequential test of p_0 against a smaller p_1
multiplies likelihood ratios,

    L_n = L_(n-1) * ( p_1 / p_0  if query n is as usual,  else  (1 - p_1) / (1 - p_0) ),  L_0 = 1,

and accuses once L_n >= 1 / alpha. The proof that it accuses at most a share alpha of honest
clients, however long they ask (Ville's inequality), takes three lines:

1. With an honest rate q >= p_0, a factor has the mean  q p_1/p_0 + (1-q)(1-p_1)/(1-p_0) <= 1, and
   it is 1 at q = p_0: L is a supermartingale, whose mean never grows.
2. Stop at the first n with L_n >= 1/alpha, or at N if there is none before. The mean is still at
   most L_0 = 1, and at least 1/alpha times the probability to have stopped for the alarm.
3. So P(alarm before N) <= alpha for every N, and P(sup L_n >= 1/alpha) <= alpha.

Only fewer than usual count, for this is the way in which thieves drift: a victim is less sure of
foreign images, of images that were moved to a border, of noise. Images it is surer of than usual
are easy ones. They teach a thief little, and honest clients send them; step 1 says that they never
raise an alarm.

**The floor.** An account that behaves well for long would push L_n towards zero and could then ask
as many foreign images as it takes to bring it back: innocence could be saved up. Therefore L_n is
never less than alpha. This costs little: an alarm within n queries comes either from L_0 = 1 or
from one of at most n moments at the floor, and from there L has to grow by 1 / alpha^2,

    P(alarm within n) <= alpha + n alpha^2 ,

and the longest good behaviour buys no more than twice the climb of a stranger.

The rule is sequential. In log L it is R_n = max(floor, R_(n-1) + step), and a whole batch has the
closed form  R_n = S_n + max(0, floor - min_(j <= n) S_j),  S_n = R_0 + the sum of n steps. Steps
are whole numbers of 2^-32, rounded down: sums are exact, so that no batching can move an alarm.
"""

from math import ceil, floor, log
from typing import NamedTuple

import torch
from torch import Tensor

from queen_ref.checks import check_number

UNIT = 2**32  # of a logarithm: levels are whole numbers, and sums of whole numbers are exact


class Standing(NamedTuple):
    """Where a client stands: log L in units of 2^-32, queries seen, the one that raised the alarm.

    >>> Standing().fired                    # 0: none yet
    0
    """

    level: int = 0
    seen: int = 0
    fired: int = 0


class Gate:
    """Wald's test of p_0 against p_1 < p_0, with a floor.

    Arguments: `usual`, p_0 in (0, 1); `other`, p_1 in (0, p_0); `alarm`, alpha in (0, 1).
    Errors: `ValueError` for numbers that do not lie so.

    >>> alarms, standing = Gate(0.5, 0.25, alarm=1e-3).watch(Standing(), torch.zeros(50).bool())
    >>> int(alarms.sum()), standing.fired
    (33, 18)
    """

    def __init__(self, usual: float, other: float, alarm: float = 1e-3):
        check_number("usual (p_0)", usual, low=0, high=1 - 1e-9, above=True)
        check_number("other (p_1)", other, low=0, high=1 - 1e-9, above=True)
        check_number("alarm (alpha)", alarm, low=0, high=1 - 1e-9, above=True)
        if other >= usual:
            raise ValueError(f"other (p_1): expected less than p_0 = {usual:g}, got {other:g}")
        self.usual, self.other, self.alarm = usual, other, alarm
        self.down = floor(UNIT * log(other / usual))
        self.up = floor(UNIT * log((1 - other) / (1 - usual)))
        self.height = ceil(UNIT * log(1 / alarm))
        self.floor = -self.height

    def watch(self, standing: Standing, as_usual: Tensor) -> tuple[Tensor, Standing]:
        """Which queries come with or after the alarm, bool (B,), and where the client stands then.

        Arguments: `as_usual` bool (B,), in the order of arrival.
        """
        seen = standing.seen + len(as_usual)
        if standing.fired:
            return torch.ones_like(as_usual), standing._replace(seen=seen)
        levels = self.levels(as_usual, standing.level)
        alarms = (levels >= self.height).cummax(0).values
        before = (~alarms).sum()
        level = levels[before.clamp_max(len(levels) - 1)]  # the last that counts
        spared, kept = torch.stack([before, level]).tolist()  # one wait for the device
        fired = standing.seen + spared + 1 if spared < len(as_usual) else 0
        return alarms, Standing(kept, seen, fired)

    def levels(self, as_usual: Tensor, start: int = 0) -> Tensor:
        """log L after each query, in units of 2^-32: bool (..., B) -> int64 (..., B).

        >>> Gate(0.5, 0.25, alarm=0.1).levels(torch.tensor([True, False])) / 2**32
        tensor([-0.6931, -0.2877])
        """
        if as_usual.dtype != torch.bool or as_usual.ndim == 0 or as_usual.shape[-1] == 0:
            found = f"{as_usual.dtype} {tuple(as_usual.shape)}"
            raise ValueError(f"as_usual: expected bool (..., B), B >= 1, got {found}")
        steps = torch.where(as_usual, self.down, self.up).long()
        path = start + steps.cumsum(-1)
        return path + (self.floor - path.cummin(-1).values).clamp_min(0)

    def promised(self, queries: int) -> float:
        """alpha + n alpha^2, at most 1: the share of honest clients with n queries that is accused.

        Nobody else loses anything, so it also bounds the accuracy that they lose in the mean.

        >>> Gate(0.5, 0.25, alarm=1e-3).promised(1000)
        0.002
        """
        check_number("queries", queries, low=1, integer=True)
        return min(1.0, self.alarm + queries * self.alarm**2)

    def accused(self, as_usual: Tensor, count: int, length: int, seed: int = 0) -> int:
        """How many of `count` clients are accused who each ask `length` of these queries.

        Arguments: `as_usual` bool (M,), of the queries they draw from, with repetitions.

        >>> Gate(0.5, 0.25).accused(torch.tensor([True, False]), count=100, length=1000)
        0
        """
        for name, value in (("count", count), ("length", length)):
            check_number(name, value, low=1, integer=True)
        if as_usual.ndim != 1 or len(as_usual) == 0:
            raise ValueError(f"as_usual: expected (M,), M >= 1, got {tuple(as_usual.shape)}")
        drawn = torch.Generator().manual_seed(int(seed))
        found = 0
        for _ in range(count):
            rows = torch.randint(len(as_usual), (length,), generator=drawn)
            found += int((self.levels(as_usual[rows]) >= self.height).any())
        return found

    def __repr__(self) -> str:
        return f"Gate(p_0={self.usual:.3g}, p_1={self.other:.3g}, alpha={self.alarm:g})"
