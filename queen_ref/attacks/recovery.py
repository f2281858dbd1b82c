"""Label recovery: from the answers y' back to labels worth training on.

A recovery is any `(images, answers) -> labels`, (N, C, H, W), (N, K) -> (N, K) on the simplex; a
row of zeros leaves that image out.
The two here need to know nothing of the defence. The adaptive ones (`queen_ref.attacks.ddae`,
`queen_ref.attacks.bayes`) do: they run a copy of it on clean answers of their own and learn the
way back. What a recovery is stands on it, and each of these may be missing:

- `needs`, of "defense", "pool_labels", "clean": what the thief must know (`Knowledge`);
- `adaptive`: it simulates the defence, so that without one it has nothing to do;
- `policies`: names of those that it suits; `None`: all;
- `flags`: what a reader of the result must know;
- `state_flags`: the same where the defence has a memory; by default that an adaptive one could
  not simulate it, () for one whose copy is shown the queries as they came;
- `edition`: a number that stands in a cell's key; a change of the method raises it, so that what
  was recorded of the old one is not taken for the new one's;
- `scaled_by`: those names of `Sizes` that stand in the key of its cells only;
- `reads_label_only`: where a defence keeps the label, it says nothing new;
- `only_accounts`: where a defence has no memory, it says nothing new;
- `begin(pool, knowledge, sizes, seed)`: the recovery at work, for one that needs something;
- `check(knowledge, classes)`: raises `ValueError`, before the first query, for what cannot work;
- `finish(substitute, pool, knowledge, seed)`: gives back what is made of the trained substitute;
- `ask(api, images, query_batch=, seed=)`: how it asks, if not about each image once, and
  `times`, how often.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from queen_ref.defenses.base import Defense

Recovery = Callable[[Tensor, Tensor], Tensor]


def as_received(images: Tensor, answers: Tensor) -> Tensor:
    """No recovery: the answers (N, K) are the labels.

    >>> as_received(images, torch.tensor([[0.2, 0.5, 0.3]]))
    tensor([[0.2000, 0.5000, 0.3000]])
    """
    return answers


class Top1Label:
    """One-hot of the likeliest class: whatever a defence does below the top is thrown away.

    >>> top1(images, torch.tensor([[0.2, 0.5, 0.3]]))
    tensor([[0., 1., 0.]])
    """

    reads_label_only = True

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        return F.one_hot(answers.argmax(1), answers.shape[1]).to(answers.dtype)


top1 = Top1Label()


def simulate(
    defense: Defense, images: Tensor, rows: Tensor, clean: Tensor, batch_size: int = 512
) -> Tensor:
    """What a fresh copy of the defence answers where the victim says `clean` (T, K): (T, K).

    `rows` (T,) tells whose image of `images` (N, C, H, W) each clean answer belongs to: a table
    of a million answers has no million images. A stateful copy starts with an empty memory and
    sees the rows in their order.

    >>> perturbed = simulate(rounding, queries, torch.arange(len(queries)), clean)
    """
    return replay(defense.fresh(), images, rows, clean, batch_size)


@torch.no_grad()
def replay(
    copy: Defense, images: Tensor, rows: Tensor, clean: Tensor, batch_size: int = 512
) -> Tensor:
    """What this very copy answers next, with the memory that it has and keeps: (T, K).

    >>> perturbed = replay(rounding, queries, torch.arange(len(queries)), clean)
    """
    parts = zip(rows.split(batch_size), clean.split(batch_size), strict=True)
    return torch.cat([copy.simulate(images[part], probs) for part, probs in parts]).to(clean)
