"""Many names: the budget spread over several accounts.

A defence with a memory has one memory for each client, and a client is a name. A thief with n
accounts asks about every image once, under the names in turns: of N images an account has asked
about N / n when he is through. What a ledger tolerates of one client, a *free budget* of c images,
has become n c, and the defence has nothing to hold against it but that a name should cost
something. Douceur (2002) calls it a Sybil attack.

It changes nothing where all clients share one memory, or where there is none.
"""

from functools import partial

from torch import Tensor

from queen_ref.attacks.asking import ask, check_left
from queen_ref.blackbox import BlackBox
from queen_ref.checks import check_images, check_number


class ManyNames:
    """The recovery: all its work is in how it asks.

    Arguments: `names`, the accounts; the first one is the API's own client.

    >>> labels = ManyNames(4)(images, answers)          # as they came
    """

    name = "names"
    on_request = True
    only_accounts = True

    def __init__(self, names: int):
        check_number("names", names, low=1, integer=True)
        self.names = int(names)

    def ask(self, api: BlackBox, images: Tensor, query_batch: int, seed: int) -> Tensor:
        """Answers (N, K) for images (N, C, H, W)."""
        return ask_in_turns(api, images, self.names, query_batch)

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        return answers


def ask_in_turns(api: BlackBox, images: Tensor, names: int, query_batch: int = 128) -> Tensor:
    """Answers (N, K) for images (N, C, H, W), each asked once, under so many names in turns.

    Whoever has asked least so far begins, so that over several calls, too, no account asks about
    more than one image more than another.
    Errors: `BudgetExceeded`, before any query, for what the API will not answer.

    >>> box = qr.BlackBox(queen, client="thief")
    >>> answers, asked = ask_in_turns(box, queries, names=3), box.accounts
    >>> asked
    {'thief': 14, 'thief 2': 13, 'thief 3': 13}
    """
    check_images(images)
    check_left(api, len(images))
    accounts = [api.client, *(f"{api.client} {number}" for number in range(2, names + 1))]
    accounts.sort(key=lambda account: api.accounts.get(account, 0))
    parts = []
    for first, account in zip(range(len(images)), accounts, strict=False):
        parts.append(ask(partial(api, client=account), images[first::names], query_batch))
    answers = parts[0].new_empty(len(images), parts[0].shape[1])
    for first, part in enumerate(parts):
        answers[first::names] = part
    return answers
