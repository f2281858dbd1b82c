"""ModelGuard-W: the least informative answer within reach (Tang et al., 2024).

The answer that a thief who knows y would value least is a linear programme,

    min_y'  sum_k log(y_k) y'_k      y' on the simplex,  ||y' - y||_1 <= epsilon,
                                     y'_top >= y'_k + margin for all others.

It takes up to epsilon / 2 of mass from likely classes and gives it to the unlikely ones, none of
them above the top. No solver is needed. Fix y'_top = T. Then the others have a ceiling, T - margin,
and the best answer is a sorted fill: the unlikeliest class is filled to the ceiling first, then
the next, and the likeliest pays first, until epsilon / 2 has moved or nothing more is gained. The
value that this reaches is convex in T, as the value of every linear programme is in its right
side, and a golden-section search finds its minimum: 32 steps, all rows of a batch at once.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_number
from queen_ref.defenses.base import Defense
from queen_ref.models import Model

MARGIN = 1e-4  # by which the label stays on top
STEPS = 32  # leave 0.618^32 = 2e-7 of the interval
GOLDEN = (5**0.5 - 1) / 2
FLAT = 1e-9  # differences that are rounding: among equals the lowest T, which moves least


class ModelGuardW(Defense):
    """The optimum of the linear programme.

    Arguments: `epsilon`, the L1 bound; `margin`, by which the label stays ahead.

    >>> ModelGuardW(victim).simulate(images[:1], torch.tensor([[0.9, 0.08, 0.02]]))
    tensor([[0.4000, 0.2001, 0.3999]])
    """

    name = "modelguard-w"
    keeps_label = True

    def __init__(self, victim: Model, epsilon: float = 1.0, margin: float = MARGIN):
        super().__init__(victim)
        check_number("epsilon", epsilon, low=0, high=2, above=True)
        check_number("margin", margin, low=0, high=min(epsilon / 2, 0.25))  # else no answer exists
        self.epsilon = self.l1_bound = epsilon
        self.margin = margin

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        return worst_answer(probs, self.epsilon, self.margin)


def worst_answer(probs: Tensor, epsilon: float = 1.0, margin: float = MARGIN) -> Tensor:
    """The optimum of the linear programme above for every row: (B, K) -> (B, K).

    A probability of 0 counts as the smallest number of its dtype in the logarithm.

    >>> worst_answer(torch.tensor([[0.6, 0.3, 0.1]]), epsilon=0.2)
    tensor([[0.5000, 0.3000, 0.2000]])
    """
    y = probs.double().clamp_min(0)
    y = y / y.sum(1, keepdim=True)
    label = y.argmax(1, keepdim=True)
    order = y.scatter(1, label, torch.inf).argsort(dim=1, stable=True)[:, :-1]
    fill = SortedFill(y.gather(1, order), y.gather(1, label), epsilon / 2, margin, probs.dtype)
    top = lowest(fill)
    answer = torch.empty_like(y).scatter_(1, order, fill.rest(top)).scatter_(1, label, top)
    return answer.to(probs)


def lowest(fill: "SortedFill") -> Tensor:
    """The T (B, 1) at which a fill's value is lowest: a golden-section search, for it is convex."""
    low, high = fill.interval()
    width = high - low
    left, right = high - GOLDEN * width, low + GOLDEN * width
    at_left, at_right = fill.value(left), fill.value(right)
    for _ in range(STEPS):
        down = at_left <= at_right + FLAT  # the minimum lies in [low, right]
        low, high = torch.where(down, low, left), torch.where(down, right, high)
        width = high - low
        new = torch.where(down, high - GOLDEN * width, low + GOLDEN * width)
        at_new = fill.value(new)
        left, right = torch.where(down, new, right), torch.where(down, left, new)
        at_left, at_right = (
            torch.where(down, at_new, at_right),
            torch.where(down, at_left, at_new),
        )
    return (low + high) / 2


class SortedFill:
    """The best answers for a given T.

    Arguments: `others` (B, K-1), the cheapest first; `peak` (B, 1), the label's; `mass` that may
    move; `margin`, by which the label stays ahead; `dtype`, whose smallest number a 0 counts as;
    `costs` of a unit, of the others and of the label; their logarithms by default.
    """

    def __init__(
        self,
        others: Tensor,
        peak: Tensor,
        mass: float,
        margin: float,
        dtype: torch.dtype,
        costs: tuple[Tensor, Tensor] | None = None,
    ):
        self.others, self.peak, self.mass, self.margin = others, peak, mass, margin
        tiny = torch.finfo(dtype).tiny
        logs = others.clamp_min(tiny).log(), peak.clamp_min(tiny).log()
        self.cost, self.peak_cost = logs if costs is None else costs
        self.rank = torch.arange(others.shape[1], device=others.device, dtype=others.dtype)

    def interval(self) -> tuple[Tensor, Tensor]:
        """The T (B, 1) for which there is an answer at all, from the lowest to the highest.

        Lowering T cuts off what lies above T (above T - margin for the others), and no more than
        `mass` may be cut: from the i highest, T >= (their sum - mass) / i. And 1 - T must fit
        under the others' ceiling.
        """
        levels = torch.cat([self.others + self.margin, self.peak], 1).sort(1, descending=True)[0]
        count = torch.arange(1, levels.shape[1] + 1, device=levels.device)
        cut = ((levels.cumsum(1) - self.mass) / count).amax(1, keepdim=True)
        classes = levels.shape[1]
        low = cut.clamp_min((1 + (classes - 1) * self.margin) / classes)
        high = (self.peak + self.mass).clamp_max(1.0)
        return low, torch.maximum(low, high)

    def rest(self, top: Tensor) -> Tensor:
        """The others' best share (B, K-1) if the label gets `top` (B, 1)."""
        ceiling = top - self.margin
        # If any mass might move: filled from the cheapest on, until 1 - T is spent.
        full = (1 - top - ceiling * self.rank).clamp_min(0).minimum(ceiling)
        moved = (full - self.others).clamp_min(0).sum(1, keepdim=True)
        moved = moved + (top - self.peak).clamp_min(0)
        # Else: the cheapest gain, under the ceiling, and the dearest lose. What the ceiling
        # cuts off is lost first.
        kept = self.others.minimum(ceiling)
        room = ceiling - kept
        gains = self.mass - (top - self.peak).clamp_min(0)
        losses = self.mass - (self.peak - top).clamp_min(0)
        losses = losses - (self.others - kept).sum(1, keepdim=True)
        gain = (gains - room.cumsum(1) + room).clamp_min(0).minimum(room)
        after = kept.sum(1, keepdim=True) - kept.cumsum(1)  # the mass of the likelier ones
        loss = (losses - after).clamp_min(0).minimum(kept)
        return torch.where(moved <= self.mass, full, kept + gain - loss)

    def value(self, top: Tensor) -> Tensor:
        """sum_k log(y_k) y'_k (B, 1)."""
        return (self.cost * self.rest(top)).sum(1, keepdim=True) + self.peak_cost * top
