"""Poison: a shared ledger turned against the defender's own customers.

If all clients share one ledger, so that many names help nobody, then what one client covers is
covered for all. Whoever wants to harm the service fills the ledger. Then every further novel
query of the sensitive discs is answered with a reversed gradient, whoever asks it: a denial of
service that costs the attacker some 30 queries a class.

He places them well. A record near the center counts most, SQS^2 = .849 there and .25 on the rim,
so the threshold is passed with few records, and few records leave the discs nearly uncovered: the
customers' queries are novel, and novel ones are reversed. He trains a first substitute on a few
answers and asks about the images that *it* is surest of, the classes in turns.

He steals next to nothing; what he does is priced,

    price = queries / (100 (accuracy before - accuracy after)) ,

in queries for a point of the accuracy of the answers to a new customer with ten questions: of the
arena's line, `queries`, `customers_before` and `customers_after`, which stand there where the
ledger is shared, as in the defence `queen-shared`. (An honest client with a thousand questions
fills a strict ledger himself: against him there is hardly anything left to poison.)
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from queen_ref.attacks.knowledge import Sizes
from queen_ref.attacks.rim import first_look
from queen_ref.metrics import predict

PLACED = 30  # queries a class


class PoisonPolicy:
    """The policy: 30 queries a class, within the budget, placed near the centers.

    >>> images, answers = PoisonPolicy()(api, pool, 100, train_substitute, seed=0)
    """

    name = "poison"
    on_request = True

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool: how many are sent is known with the first answer."""
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
        placed = min(budget, PLACED * answers.shape[1]) - len(images)
        if placed > 0:
            central = rest[in_turns(predict(train(images, answers), rest))[:placed]]
            images, answers = torch.cat([images, central]), torch.cat([answers, ask(central)])
        return images, answers


def in_turns(probs: Tensor) -> Tensor:
    """Rows of probabilities (N, K): of every class the surest one, then the second, and so on.

    >>> in_turns(torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]))
    tensor([0, 2, 1])
    """
    sure, labels = probs.max(1)
    order = sure.argsort(descending=True, stable=True)
    same = torch.nn.functional.one_hot(labels[order], probs.shape[1])
    turn = (same.cumsum(0) * same).sum(1)  # of its class, counted from the surest
    return order[turn.argsort(stable=True)]


def price(queries: int, before: float, after: float) -> float:
    """Queries for a point of accuracy that a new customer loses; infinite if he loses none.

    >>> price(300, before=0.97, after=0.57)
    7.5
    """
    return round(queries / (100 * (before - after)), 9) if before > after else float("inf")
