"""Vote: every answer is replaced by what is said about the images most like it.

A first substitute is trained on the answers as they came. Even where many of them lie, its
features put like images together. In them each image takes the label with most of its neighbours'
mass,

    y~_i = one-hot of argmax_k  mean { y'_jk :  j among the n nearest to i in angle, i included } .

The mean itself would keep what it has heard of the lies. Lies that point in many directions are
outvoted; lies that agree are not. No defence is known, no query is added; the price is a second
training. It is the cleaning of noisy labels by nearest neighbours (Bahri et al., 2020, deep k-NN),
done by a thief.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.training import train_substitute
from queen_ref.checks import check_number
from queen_ref.models import Victim
from queen_ref.modes import evaluating

NEIGHBOURS = 10
CELLS = 16_000_000  # similarities held at once: 64 MB in float32


class Vote:
    """The recovery. Arguments: `neighbours`, n; all there are where these are fewer.

    >>> recover = Vote(neighbours=10).begin(pool, knowledge, sizes, seed=0)
    >>> labels = recover(queries, answers)
    """

    name = "vote"
    on_request = True

    def __init__(self, neighbours: int = NEIGHBOURS):
        check_number("neighbours", neighbours, low=1, integer=True)
        self.neighbours = int(neighbours)

    def begin(
        self, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The recovery at work: images (N, C, H, W), answers (N, K) -> labels (N, K)."""
        return partial(self.recover, sizes=sizes, seed=seed)

    def recover(self, images: Tensor, answers: Tensor, sizes: Sizes, seed: int) -> Tensor:
        """Train, look around, count."""
        first = train_substitute(images, answers, sizes.recipe, seed=seed)
        heard = neighbours_mean(features_of(first, images), answers, self.neighbours)
        return F.one_hot(heard.argmax(1), answers.shape[1]).to(answers.dtype)


@torch.no_grad()
def features_of(model: Victim, images: Tensor, batch_size: int = 512) -> Tensor:
    """phi(x) (N, D) of images (N, C, H, W), in batches, in eval mode.

    >>> features_of(victim, queries).shape
    torch.Size([40, 128])
    """
    with evaluating(model):
        return torch.cat([model.features(part) for part in images.split(batch_size)])


@torch.no_grad()
def neighbours_mean(features: Tensor, answers: Tensor, neighbours: int) -> Tensor:
    """The mean answer (N, K) of the nearest rows in angle; works through features (N, D) in chunks.

    >>> same = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]])
    >>> neighbours_mean(same, torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.2, 0.8]]), 2)[:2]
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    unit = F.normalize(features.float(), dim=1)
    count = min(neighbours, len(unit))
    means = []
    for rows in unit.split(max(1, CELLS // len(unit))):
        nearest = (rows @ unit.T).topk(count, dim=1).indices
        means.append(answers[nearest].mean(1))
    return torch.cat(means)
