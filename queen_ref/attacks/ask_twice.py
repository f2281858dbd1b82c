"""Ask twice: the same image again, from an account that has hardly asked.

A defence with a memory lies to a client who has asked much, and tells a stranger the truth. So a
thief asks a stranger of his own: a *witness*, a second account. Where the two answers differ, the
witness is believed,

    y~ = y'_witness    if  sum_k |y'_k - y'_witness,k| > 0.001,    else  y' .

A witness is a stranger only as long as it has asked little: after `fresh_for` images the next one
takes its place, and N images need N / `fresh_for` of them beside the account that asks first.

Where the answers agree, it does not matter who is believed: the labels are those of the witnesses,
and the first account only tells that there was something to find out. A thief who has understood
that leaves it out, halves his queries and is `names-n` of `queen_ref.attacks.many_names`.
"""

import torch
from torch import Tensor

from queen_ref.attacks.asking import ask, check_left
from queen_ref.attacks.policies import FREE
from queen_ref.blackbox import BlackBox
from queen_ref.checks import check_images, check_number

SAME = 1e-3  # L1 between two answers that rounding alone could have parted


class AskTwice:
    """The recovery: all its work is in how it asks.

    Arguments: `fresh_for`, images after which a witness is no stranger any more.

    >>> labels = AskTwice()(images, answers)            # as they are believed
    """

    name = "ask-twice"
    on_request = True
    times = 2

    def __init__(self, fresh_for: int = FREE):
        check_number("fresh_for", fresh_for, low=1, integer=True)
        self.fresh_for = int(fresh_for)

    def ask(self, api: BlackBox, images: Tensor, query_batch: int, seed: int) -> Tensor:
        """Believed answers (N, K) for images (N, C, H, W)."""
        check_images(images)
        check_left(api, self.times * len(images))
        first = ask(api, images, query_batch)
        return believed(first, ask_witnesses(api, images, self.fresh_for, query_batch))

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        return answers


def ask_witnesses(api: BlackBox, images: Tensor, fresh_for: int, query_batch: int = 128) -> Tensor:
    """Answers (N, K) for images (N, C, H, W), a new account after every `fresh_for` images.

    A later call goes on with the last witness of the earlier one.

    >>> box = qr.BlackBox(queen, client="thief")
    >>> answers, asked = ask_witnesses(box, queries, fresh_for=30), box.accounts
    >>> asked
    {'thief, witness 1': 30, 'thief, witness 2': 10}
    """
    name = f"{api.client}, witness"
    sent = sum(count for account, count in api.accounts.items() if account.startswith(name))
    answers = []
    while len(images):
        room = min(fresh_for - sent % fresh_for, query_batch)
        batch, images = images[:room], images[room:]
        answers.append(api(batch, client=f"{name} {sent // fresh_for + 1}"))
        sent += len(batch)
    return torch.cat(answers)


def believed(first: Tensor, witness: Tensor) -> Tensor:
    """The witness's answer (N, K) where it differs from the first one, else the first.

    >>> believed(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([[0.9, 0.1], [0.5, 0.5]]))
    tensor([[0.9000, 0.1000],
            [0.5000, 0.5000]])
    """
    differ = (first - witness).abs().sum(1, keepdim=True) > SAME
    return torch.where(differ, witness, first)
