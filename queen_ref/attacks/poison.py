"""Poison: a shared ledger turned against the defender's own customers.

If all clients share one ledger, so that many names help nobody, then what one client covers is
covered for all. Whoever wants to harm the service fills the ledger. Then every further novel
query of the sensitive discs is answered with a reversed gradient, whoever asks it: a denial of
service that costs the attacker some 30 queries a class.

He sends random images, and needs no more. A record near a disc's center counts most (SQS^2 = .849
there, .25 on the rim), so images that a first substitute is sure of look like the better choice;
but they lie close together, few of them are novel, and the threshold is passed later, not earlier.

He steals next to nothing; what he does is priced,

    price = queries / (100 (accuracy before - accuracy after)) ,

in queries for a point of the accuracy of the answers to a new customer with ten questions: of the
arena's line, `queries`, `customers_before` and `customers_after`, which stand there where the
ledger is shared, as in the defence `queen-shared`. (An honest client with a thousand questions
fills a strict ledger himself: against him there is hardly anything left to poison.)
"""

from collections.abc import Callable

import torch
from torch import Tensor

from queen_ref.attacks.knowledge import Sizes
from queen_ref.attacks.policies import random_queries

PLACED = 30  # queries a class


class PoisonPolicy:
    """The policy: random images, 30 a class and no more than the budget.

    >>> images, answers = PoisonPolicy()(api, pool, 100, None, seed=0)
    """

    name = "poison"
    on_request = True

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool: how many are sent is known with the first answers."""
        return budget

    def __call__(
        self, ask: Callable[[Tensor], Tensor], pool: Tensor, budget: int, train: object, seed: int
    ) -> tuple[Tensor, Tensor]:
        images = random_queries(pool, budget, seed)
        first = min(budget, 2 * PLACED)  # two classes at least, and then K is known
        answers = ask(images[:first])
        images = images[: PLACED * answers.shape[1]]
        if len(images) > first:
            answers = torch.cat([answers, ask(images[first:])])
        return images, answers


def price(queries: int, before: float, after: float) -> float:
    """Queries for a point of accuracy that a new customer loses; infinite if he loses none.

    >>> price(300, before=0.97, after=0.57)
    7.5
    """
    return round(queries / (100 * (before - after)), 9) if before > after else float("inf")
