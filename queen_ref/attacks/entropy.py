"""Entropy: ask about what the substitute is least certain of, round after round.

Active learning, as ActiveThief does it (Pal et al., 2020): every round trains a substitute on all
answers so far and asks about the images of the pool with the largest entropy under it,

    H(x) = - sum_k  p_k log p_k ,    p = softmax(f_s(x)) ,

a fourth of what is left to spend in each of four rounds. It stands here as the honest negative
result: with as few answers as these the choice hardly beats chance, and often it loses. The images
that a poor substitute is unsure of resemble one another, and they are the ones whose answers teach
least about the rest. It chooses nothing where the pool is no larger than the budget.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from queen_ref.attacks.knowledge import Sizes
from queen_ref.attacks.rim import first_look
from queen_ref.metrics import predict

ROUNDS = 4


class EntropyPolicy:
    """The policy: random images for a first substitute, then four rounds of the least certain.

    >>> images, answers = EntropyPolicy()(api, pool, 100, train_substitute, seed=0)
    """

    name = "entropy"
    on_request = True

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool."""
        return budget

    def __call__(
        self,
        ask: Callable[[Tensor], Tensor],
        pool: Tensor,
        budget: int,
        train: Callable[[Tensor, Tensor], nn.Module],
        seed: int,
    ) -> tuple[Tensor, Tensor]:
        images, rest = first_look(pool, budget, seed)
        answers = ask(images)
        for rounds_left in range(ROUNDS, 0, -1):
            share = (budget - len(images)) // rounds_left
            if share == 0:  # more rounds than images: the later ones have some
                continue
            order = entropy(predict(train(images, answers), rest)).argsort(
                descending=True, stable=True
            )
            chosen, rest = rest[order[:share]], rest[order[share:].sort().values]
            images, answers = torch.cat([images, chosen]), torch.cat([answers, ask(chosen)])
        return images, answers


def entropy(probs: Tensor) -> Tensor:
    """H in nats of every row of probabilities, (N, K) -> (N,).

    >>> entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    tensor([0.0000, 0.6931])
    """
    return torch.special.entr(probs).sum(1)
