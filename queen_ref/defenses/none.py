"""No defence: the victim's own softmax. What every defence is compared with."""

from torch import Tensor

from queen_ref.defenses.base import Defense


class NoDefense(Defense):
    """y' = y = softmax(f(x)).

    >>> defense = NoDefense(victim)
    >>> probs = defense(images)         # (B, C, H, W) -> (B, K)
    """

    name = "none"
    l1_bound = 0.0
    keeps_label = True

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        return probs
