"""Drop: leave out the answers that are less sure than the first ones were.

A defence with a memory has nothing to remember when the first queries come: the first answers
are as good as they will ever be. A lie that turns a sure answer around is seldom as sure. So a
thief keeps

    y'_i   where   max_k y'_ik  >=  q ,        q a low quantile of max_k y' over the first answers,

and pays with the honest answers that were unsure anyway. He knows nothing of the defence: the
quantile is fixed before he asks, one in twenty. That costs him about one in twenty answers of an
API that hides nothing, whatever its images look like, and bears a few lies among the first 64. We
have found this thief in no publication.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_number

FIRST, SHARE = 64, 0.05


class Drop:
    """The recovery: unsure answers become rows of zeros, which no substitute is trained on.

    Arguments: `first`, how many answers tell what is usual; `share` of them that lies below the
    bound. Where the bound is a tie (one-hot answers), all that reach it are kept.

    >>> (Drop(first=2)(images, torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])).sum(1) > 0)
    tensor([ True,  True, False])
    """

    name = "drop"
    on_request = True

    def __init__(self, first: int = FIRST, share: float = SHARE):
        check_number("first", first, low=1, integer=True)
        check_number("share", share, low=0, high=1)
        self.first, self.share = int(first), float(share)

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        """Labels (N, K) of answers (N, K) in the order in which they came."""
        sure = answers.amax(1)
        return torch.where((sure >= self.bound(sure))[:, None], answers, torch.zeros_like(answers))

    def bound(self, sure: Tensor) -> Tensor:
        """The least that is kept, one of the first of `sure` (N,).

        >>> Drop(first=4, share=0.5).bound(torch.tensor([0.9, 0.6, 0.8, 0.7, 0.1]))
        tensor(0.8000)
        """
        usual = sure[: self.first].sort().values
        return usual[min(int(self.share * len(usual)), len(usual) - 1)]
