"""Rim: ask about the images that lie at the rim of QUEEN's discs.

A record costs its class SQS^2 (r / s)^2 of the threshold, with SQS^2 = .849 in the center of the
sensitive disc and .25 on its rim: who asks at the rim alone may record up to 3.4 times as many
images before the first reversed answer. A thief sees no map. But an image near its class's center
is one that a classifier is sure of, so he trains a first substitute on a few answers and then asks
about what *it* is least sure of, the least sure first:

    ask in ascending order of  max_k softmax(f_s(x))_k .

With a pool no larger than the budget nothing is left out, and only the order is his. Against a
strict threshold it gains no records: the random first look has spent most of it. And images that
nobody is sure of teach a substitute slowly.

Farther out than the rim is *outside*, and whatever falls outside is answered honestly for ever,
which is the ledger's rule, not an attack's: a pool far from the victim's data does it without any
choice. There is no method "far pool" here; ask with `--pool digits` or `--pool noise`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from queen_ref.attacks.knowledge import Sizes
from queen_ref.attacks.policies import FREE, random_queries
from queen_ref.metrics import predict


class RimPolicy:
    """The policy: random images for a first substitute, then those it is least sure of.

    >>> images, answers = RimPolicy()(api, pool, 100, train_substitute, seed=0)
    """

    name = "rim"
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
        if budget > len(images):
            unsure = rest[least_sure(predict(train(images, answers), rest))]
            unsure = unsure[: budget - len(images)]
            images, answers = torch.cat([images, unsure]), torch.cat([answers, ask(unsure)])
        return images, answers


def first_look(pool: Tensor, budget: int, seed: int) -> tuple[Tensor, Tensor]:
    """The pool in random order, cut into what a first substitute is trained on, and the rest.

    That is half of the budget, and no more than an account is told honestly.

    >>> first, rest = first_look(pool, budget=100, seed=0)
    >>> len(first), len(first) + len(rest) == len(pool)
    (50, True)
    """
    shuffled = random_queries(pool, len(pool), seed)
    first = min(FREE, (budget + 1) // 2)
    return shuffled[:first], shuffled[first:]


def least_sure(probs: Tensor) -> Tensor:
    """Rows of probabilities (N, K) in ascending order of the largest one.

    >>> least_sure(torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]]))
    tensor([1, 2, 0])
    """
    return probs.max(1).values.argsort(stable=True)
