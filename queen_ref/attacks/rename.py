"""Rename: a copy that is always wrong in the same way is a good copy with wrong names.

A thief with a few labelled images of his own looks at what his substitute calls them. Against
lies that follow a rule there are three readings of it: as it is; renamed by the permutation pi of
the classes that is right most often,

    max over pi of   #{ i :  pi(argmax f(x_i)) = c_i } ,

the assignment that the Hungarian method (Kuhn, 1955) finds; and the least likely class in place
of the likeliest, where every lie only avoids the truth. A substitute *below* chance is information.

The thief chooses on his own images, never on a test set. A permutation fits the images that it was
made for, so it is judged on others: made on one half and judged on the other, and the other way
round. On a tie the substitute stays as it is.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.recovery import as_received
from queen_ref.checks import check_labels, check_number
from queen_ref.metrics import predict

OWN = 100


class Rename:
    """The recovery: answers stay as received, the work is done on the finished substitute.

    His own images are the last of the pool in the order of `random_queries`: if the pool is larger
    than the budget, images that the random policy does not ask about.

    Arguments: `own`, how many labelled images he has; all of the pool's where these are fewer.

    >>> better = Rename(own=100).finish(model, pool, knowledge, seed=0)
    >>> qr.metrics.accuracy(better, test_images, test_labels) > 0.5
    True
    """

    name = "rename"
    on_request = True
    needs = ("pool_labels",)

    def __init__(self, own: int = OWN):
        check_number("own", own, low=2, integer=True)  # one for each half
        self.own = int(own)

    def begin(
        self, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Nothing is done with the answers."""
        return as_received

    @staticmethod
    def check(knowledge: Knowledge, classes: int) -> None:
        """Before the first query: `ValueError` for a pool with labels that the API has not."""
        labels = knowledge.pool_labels
        if labels is not None:
            check_labels(labels, len(labels), classes)

    def finish(
        self, substitute: nn.Module, pool: Tensor, knowledge: Knowledge, seed: int
    ) -> nn.Module:
        """The best reading of a trained substitute: itself, or a copy with another last layer."""
        if knowledge.pool_labels is None:
            raise ValueError("knowledge: expected pool_labels for rename")
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(int(seed)))
        rows = order[-self.own :].to(pool.device)
        probs, labels = predict(substitute, pool[rows]), knowledge.pool_labels.to(pool.device)[rows]
        matrix = best_reading(probs, labels)
        return substitute if matrix is None else read_by(substitute, matrix)


def best_reading(probs: Tensor, labels: Tensor) -> Tensor | None:
    """What to multiply logits (K,) with, (K, K), by n own images with probs (n, K); None: nothing.

    >>> best_reading(torch.eye(3)[[1, 2, 0, 1, 2, 0]], torch.tensor([0, 1, 2, 0, 1, 2]))
    tensor([[0., 1., 0.],
            [0., 0., 1.],
            [1., 0., 0.]])
    """
    said, classes = probs.argmax(1), probs.shape[1]
    check_labels(labels, len(probs), classes)
    labels = labels.long()
    eye = torch.eye(classes, device=probs.device, dtype=probs.dtype)
    halves = torch.arange(len(said), device=said.device).chunk(2)  # shuffled where they come from
    renamed = 0
    for made, judged in (halves, halves[::-1]):
        permutation = names(said[made], labels[made], classes)
        renamed += int((permutation[labels[judged]] == said[judged]).sum())
    readings: list[tuple[int, Tensor | None]] = [
        (int((said == labels).sum()), None),
        (renamed, eye[names(said, labels, classes)]),
        (int((probs.argmin(1) == labels).sum()), -eye),
    ]
    return max(readings, key=lambda reading: reading[0])[1]  # the first of equals


def names(said: Tensor, labels: Tensor, classes: int) -> Tensor:
    """For each true class what the substitute calls it: a permutation (K,), right most often.

    Arguments: `said` and `labels` (n,). Of equally good ones, one that leaves most names alone.

    >>> names(torch.tensor([1, 1, 0]), torch.tensor([0, 0, 1]), classes=4)
    tensor([1, 0, 2, 3])
    """
    # scikit-learn brings it; at the top, `import queen_ref` would take longer for one matching.
    from scipy.optimize import linear_sum_assignment

    counts = torch.bincount(labels * classes + said, minlength=classes**2).double()
    table = counts.reshape(classes, classes) + torch.eye(classes, device=said.device) / (
        2 * classes
    )
    return torch.from_numpy(linear_sum_assignment(table.cpu(), maximize=True)[1]).to(said.device)


@torch.no_grad()
def read_by(substitute: nn.Module, matrix: Tensor) -> nn.Module:
    """A copy whose logits are `matrix` (K, K) times the substitute's.

    A linear head takes the matrix in: the copy has the same layers, and is kept like any other.

    >>> qr.metrics.fidelity(read_by(victim, torch.eye(10)), victim, queries)
    1.0
    """
    copy = deepcopy(substitute)
    head: Any = copy.head
    if isinstance(head, nn.Linear):
        head.weight.copy_(matrix @ head.weight)
        if head.bias is not None:
            head.bias.copy_(matrix @ head.bias)
    else:
        last = nn.Linear(len(matrix), len(matrix), bias=False).to(matrix)
        last.weight.copy_(matrix)
        copy.head = nn.Sequential(head, last)
    return copy
