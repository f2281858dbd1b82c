"""Unswap: a thief who knows how answers are hidden, and not the key.

A hidden reversal (`queen_ref.queen.hidden`) gives the place of the label k to a false class f, the
same for all images of a region. The thief knows the rule and the settings. He knows neither the key
nor where a region ends. But the rule is its own weakness: in a neighbourhood, whoever was told f
has the same label. So the thief begins as `early` does: a first judge, trained on the first n
answers, which are free, leaves out what it does not believe. A second judge f_0 is trained on the
rest. Of every later answer it is asked what it thinks of the images nearby *that were told the same
class*,

    k~_i = argmax_k  mean { f_0(x_j)_k :  argmax y'_j = argmax y'_i, j among the nearest to i } ,

i included. One mistake of the judge is outvoted by the neighbours; where the answers are honest,
the class that they were told wins. Where it does not, the thief exchanges the two entries back,

    y~_i = y'_i  with the entries  argmax y'_i  and  k~_i  exchanged,

and has the honest label, if the judge was right. Of "swapped" answers he has all numbers, too, for
an exchange undoes itself.
No query is added; the price is two more trainings. Against lies without such a rule this is
`early` with the judge's labels in place of what is left out.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from queen_ref.attacks.early import FIRST, Early
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.training import train_substitute
from queen_ref.attacks.vote import NEIGHBOURS, features_of, neighbours_mean
from queen_ref.checks import check_number
from queen_ref.metrics import predict


class Unswap:
    """The recovery. Arguments: `first`, n; `neighbours`, how many of one answer vote together.

    A thief with no more answers than `first` keeps all.

    >>> recover = Unswap(first=30).begin(pool, knowledge, sizes, seed=0)
    >>> (recover(queries, answers).sort(1).values == answers.sort(1).values).all()
    tensor(True)
    """

    name = "unswap"
    on_request = True

    def __init__(self, first: int = FIRST, neighbours: int = NEIGHBOURS):
        check_number("first", first, low=2, integer=True)  # batch norm needs two
        check_number("neighbours", neighbours, low=1, integer=True)
        self.first, self.neighbours = int(first), int(neighbours)

    def begin(
        self, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The recovery at work: images (N, C, H, W), answers (N, K) -> labels (N, K)."""
        return partial(self.recover, sizes=sizes, seed=seed)

    def recover(self, images: Tensor, answers: Tensor, sizes: Sizes, seed: int) -> Tensor:
        """Train the judges, hear the neighbours who were told the same, exchange back."""
        if len(images) <= self.first:
            return answers
        kept = Early(self.first).recover(images, answers, sizes, seed).sum(1) > 0
        judge = train_substitute(images[kept], answers[kept], sizes.recipe, seed=seed)
        told = answers.argmax(1)
        believed = heard_alike(
            features_of(judge, images), predict(judge, images), told, self.neighbours
        )
        believed[: self.first] = told[: self.first]
        pair = torch.stack([told, believed], 1)
        return answers.scatter(1, pair, answers.gather(1, pair.flip(1)))


def heard_alike(features: Tensor, opinions: Tensor, told: Tensor, neighbours: int) -> Tensor:
    """The class (N,) that those believe in who lie near and were told the same.

    Arguments: `features` (N, D); `opinions` (N, K), what a judge says of each; `told` (N,).

    >>> lies = torch.tensor([2, 2, 2])      # of the three the judge is wrong about the last
    >>> heard_alike(torch.ones(3, 2), torch.eye(3)[[0, 0, 1]], lies, neighbours=3)
    tensor([0, 0, 0])
    """
    believed = told.clone()
    for label in told.unique().tolist():
        rows = told == label
        mean = neighbours_mean(features[rows], opinions[rows], neighbours)
        believed[rows] = mean.argmax(1).to(told)
    return believed
