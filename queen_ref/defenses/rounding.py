"""Rounding: few decimals, so that small probabilities vanish (Tramer et al., 2016)."""

import torch
from torch import Tensor

from queen_ref.checks import check_number
from queen_ref.defenses.base import Defense
from queen_ref.models import Model


class Rounding(Defense):
    """y' = round(y) / sum_k round(y_k), rounded to `decimals`.

    The label is not promised: 0.44 and 0.42 round to a tie. Where everything rounds to 0 (it
    takes more than 20 classes at one decimal), no class is told from another, and y' is uniform.

    >>> Rounding(victim, decimals=1).simulate(images[:1], torch.tensor([[0.78, 0.18, 0.04]]))
    tensor([[0.8000, 0.2000, 0.0000]])
    """

    name = "rounding"

    def __init__(self, victim: Model, decimals: int = 1):
        super().__init__(victim)
        check_number("decimals", decimals, low=1, high=6, integer=True)
        self.decimals = int(decimals)

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        rounded = probs.round(decimals=self.decimals)
        total = rounded.sum(1, keepdim=True)
        return torch.where(total > 0, rounded / total, 1 / probs.shape[1])
