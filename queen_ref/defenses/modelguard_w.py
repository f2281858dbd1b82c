"""ModelGuard-W (Tang et al., 2024): the worst answer for a thief that still keeps the label.

    min_{y'}  sum_k log(y_k) y'_k        y' on the simplex,   || y' - y ||_1 <= epsilon,
                                         y'_top >= y'_j + 1e-4  for every other class j.

A linear program: move mass from likely classes to the least likely ones, as far as the budget
and the top class allow. It needs no solver. Suppose y'_top = t is given. Then every other class
is capped at t - 1e-4, the least likely classes are filled up to the cap in turn, and the mass
comes from the likeliest ones. That is a sort and two cumulative sums. What remains is a
search over t, and the optimum is a convex function of it: a grid around the best t so
far, made finer a few times, for all queries at once.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_number
from queen_ref.defenses.base import Defense

MARGIN = 1e-4  # by which the label stays on top
FLOOR = 1e-12  # of a probability, before its logarithm
GRID, ROUNDS = 8, 6  # points on each side of the best t; every round shrinks the bracket 8 times
SLACK = 1e-9


class ModelGuardW(Defense):
    """Arguments: `epsilon`, the L1 budget; `margin`, the label's lead.

    >>> probs = ModelGuardW(victim, epsilon=1.0)(images)
    """

    name = "modelguard-w"
    keeps_label = True

    def __init__(self, victim, epsilon: float = 1.0, margin: float = MARGIN):
        super().__init__(victim)
        check_number("epsilon", epsilon, low=2 * margin, above=True)
        check_number("margin", margin, low=0, high=0.1)
        self.l1_bound = self.epsilon = epsilon
        self.margin = margin

    def simulate(self, images: Tensor, probs: Tensor) -> Tensor:
        return worst_answer(probs, self.epsilon, self.margin)

    def __repr__(self) -> str:
        return f"ModelGuardW(epsilon={self.epsilon})"


def worst_answer(probs: Tensor, epsilon: float = 1.0, margin: float = MARGIN) -> Tensor:
    """The program's solution for every row: (B, K) -> (B, K).

    >>> worst_answer(torch.tensor([[0.7, 0.2, 0.1]]), epsilon=0.4)
    tensor([[0.5000, 0.2000, 0.3000]])
    """
    y = probs.double()
    top, label = y.max(1)
    # The others in ascending order, the top class last (argsort alone might split a tie).
    order = y.scatter(1, label[:, None], 2.0).argsort(1)
    ascending = y.gather(1, order)
    second = ascending[:, -2]

    # t = y_top is possible, or just above it where the label leads by less than the margin.
    best = torch.where(top - second >= margin, top, torch.minimum(second + margin, top + margin))
    low = ((1 + (y.shape[1] - 1) * margin) / y.shape[1]) * torch.ones_like(top)
    low = torch.maximum(torch.minimum(low, best), top - epsilon / 2)
    high = torch.maximum((top + epsilon / 2).clamp_max(1.0), best)
    ramp = torch.linspace(0, 1, GRID + 1, dtype=y.dtype, device=y.device)
    for _ in range(ROUNDS):
        left = low[:, None] + ramp * (best - low)[:, None]
        right = best[:, None] + ramp[1:] * (high - best)[:, None]
        tried = torch.cat([left, right], 1)  # (B, 2 GRID + 1), ascending
        cost = objective(ascending, fill(ascending, tried, epsilon, margin))
        best = tried.gather(1, cost.argmin(1, keepdim=True))
        # The neighbours of the best; it has none on a side where the bracket ends.
        low = torch.where(tried < best, tried, -torch.inf).amax(1).maximum(low)
        high = torch.where(tried > best, tried, torch.inf).amin(1).minimum(high)
        best = best.flatten()
    answer, _ = fill(ascending, best[:, None], epsilon, margin)
    answer = torch.zeros_like(y).scatter_(1, order, answer[:, 0].clamp_min(0))
    return (answer / answer.sum(1, keepdim=True)).to(probs.dtype)


def fill(ascending: Tensor, tops: Tensor, epsilon: float, margin: float) -> tuple[Tensor, Tensor]:
    """The best answers for given t: rows (B, K) and t (B, T) -> answers (B, T, K), possible (B, T).

    `ascending` has the top class last. `possible` is False where no answer has that t.
    """
    rest, top = ascending[:, None, :-1], ascending[:, None, -1]  # (B, 1, K - 1), (B, 1)
    cap = (tops - margin)[:, :, None]
    gives = top - tops  # what the top class gives away (B, T); negative: takes

    # Without a budget: the least likely classes to the cap, until the mass is used up.
    place = torch.arange(rest.shape[2], dtype=rest.dtype, device=rest.device)
    unlimited = ((1 - tops)[:, :, None] - place * cap).clamp_min(0).minimum(cap)
    wanted = (unlimited - rest).clamp_min(0).sum(2)
    budget = epsilon / 2 + gives.clamp_max(0)
    up = wanted.minimum(budget)

    forced = (rest - cap).clamp_min(0)  # what lies above the cap has to go in any case
    down = up - gives
    possible = (down >= forced.sum(2) - SLACK) & (up >= -SLACK)
    possible &= ((rest.shape[2] * cap[:, :, 0]) >= 1 - tops - SLACK) & (cap[:, :, 0] >= 0)

    room = (cap - rest).clamp_min(0)
    before = room.cumsum(2) - room
    filled = (up[:, :, None] - before).clamp_min(0).minimum(room)
    spare = rest - forced
    above = spare.flip(2).cumsum(2).flip(2) - spare  # of the likelier classes
    taken = ((down - forced.sum(2))[:, :, None] - above).clamp_min(0).minimum(spare)
    answers = rest + filled - forced - taken
    return torch.cat([answers, tops[:, :, None]], 2), possible


def objective(ascending: Tensor, filled: tuple[Tensor, Tensor]) -> Tensor:
    """sum_k log(y_k) y'_k, infinite where no answer is possible: -> (B, T)."""
    answers, possible = filled
    cost = (ascending.clamp_min(FLOOR).log()[:, None] * answers).sum(2)
    return torch.where(possible, cost, torch.inf)
