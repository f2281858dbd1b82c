"""No defence: the victim's own softmax. What every defence is compared with."""

import torch
from torch import Tensor, nn

from queen_ref.checks import check_images


class NoDefense:
    """y' = y = softmax(f(x)).

    >>> defense = NoDefense(victim)
    >>> probs = defense(images)         # (B, C, H, W) -> (B, K)
    """

    def __init__(self, victim: nn.Module):
        self.victim = victim.eval()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        check_images(images)
        return self.victim(images).softmax(1)

    def __repr__(self) -> str:
        return "NoDefense()"
