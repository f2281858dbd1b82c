"""Top-1: the label and nothing else. The floor of what an answer can tell."""

import torch.nn.functional as F
from torch import Tensor

from queen_ref.defenses.base import Defense


class Top1(Defense):
    """y' = one-hot(argmax_k y_k).

    >>> Top1(victim).simulate(images[:1], torch.tensor([[0.2, 0.5, 0.3]]))
    tensor([[0., 1., 0.]])
    """

    name = "top1"
    keeps_label = True

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        return F.one_hot(probs.argmax(1), probs.shape[1]).to(probs.dtype)
