"""Query policies: which images a thief sends.

KnockoffNets' random policy (Orekondy et al., 2019) shuffles a pool of natural images once
and sends the first `budget` of them. It needs no knowledge of the victim at all.

A policy is any `(ask, pool, budget, train, seed) -> images, answers`, (N, C, H, W), (N, K), with
N at most `budget`: `ask(images)` sends them, `train(images, answers)` gives a substitute of what
came back so far. One that has an argument `sizes` is given the thief's `Sizes`; one that has a
method `takes(budget, sizes)` says how many images of the pool it takes at least; one that asks
about more images than the budget says how many `times` as many.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from queen_ref.attacks.knowledge import Sizes
from queen_ref.checks import check_images, check_number

Policy = Callable[..., tuple[Tensor, Tensor]]

# What a thief who looks at the answers takes for granted that one account is told honestly: strict
# QUEEN has then reversed next to nothing. He knows no defence, so it is a guess, and a low one.
FREE = 64


class RandomPolicy:
    """The random policy: all its images at once.

    >>> images, answers = RandomPolicy()(api, pool, 400, None, seed=0)
    """

    name = "random"

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool."""
        return budget

    def __call__(
        self, ask: Callable, pool: Tensor, budget: int, train: object, seed: int
    ) -> tuple[Tensor, Tensor]:
        images = random_queries(pool, budget, seed)
        return images, ask(images)


def random_queries(pool: Tensor, budget: int, seed: int = 0) -> Tensor:
    """`budget` images of the pool (N, C, H, W), drawn without replacement.

    A larger budget with the same seed extends the smaller one: its first images are the same.
    Errors: `ValueError` when the pool is smaller than the budget.

    >>> queries = random_queries(pool, budget=400, seed=0)
    >>> queries.shape
    torch.Size([400, 1, 28, 28])
    """
    check_images(pool)
    check_number("budget", budget, low=1, integer=True)
    if budget > len(pool):
        raise ValueError(f"budget: expected at most the pool's {len(pool)} images, got {budget}")
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(int(seed)))
    return pool[order[:budget].to(pool.device)]
