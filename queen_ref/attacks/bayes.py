"""p-Bayes: the mean of everything the answer could have been (Tang et al., 2024, ModelGuard).

With a table of clean answers y_j and what the defence makes of each, y'_j, the label recovered
from an answer y' is an estimate of the posterior mean E[y | y'],

    y~ = mean { y_j :  argmax y'_j = argmax y',  ||y'_j - y'||_1 <= max(0.01, nearest) } ,

where `nearest` is the smallest distance to a row with that top-1: someone always qualifies. The
table holds draws around the victim's clean answers (`queen_ref.attacks.dirichlet`), which makes
this, too, a much stronger attacker than a thief with an API.
"""

import torch
from torch import Tensor

from queen_ref.attacks.dirichlet import dirichlet_table
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.checks import check_probabilities

TOLERANCE = 0.01
CELLS = 16_000_000  # distances held at once: 64 MB in float32
SLACK = 1e-6  # two equal distances must stay equal when they are rounded


class PBayes:
    """Recovery by looking an answer up in a table made for the very queries.

    >>> labels = PBayes(knowledge, sizes, seed=0)(queries, answers)
    """

    needs = ("defense", "clean")
    adaptive = True
    state_flags = ()  # his copy is shown the very queries, with what the victim nearly said

    def __init__(self, knowledge: Knowledge, sizes: Sizes, seed: int = 0):
        self.knowledge, self.sizes, self.seed = knowledge, sizes, seed

    @classmethod
    def begin(cls, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int) -> "PBayes":
        """As every recovery is begun."""
        return cls(knowledge, sizes, seed)

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        table = dirichlet_table(images, self.knowledge, self.sizes, self.seed)
        return posterior_mean(answers, *table)


@torch.no_grad()
def posterior_mean(
    answers: Tensor, clean: Tensor, perturbed: Tensor, tolerance: float = TOLERANCE
) -> Tensor:
    """The mean clean row for every answer: (N, K) from a table of two (T, K).

    An answer whose top-1 no perturbed row shares is returned as it is: the table knows nothing
    of it. Works through the table class by class and in chunks, within 200 MB beside the table.

    >>> clean = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    >>> perturbed = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> posterior_mean(torch.tensor([[1.0, 0.0]]), clean, perturbed)
    tensor([[0.8000, 0.2000]])
    """
    for name, rows in (("answers", answers), ("clean", clean), ("perturbed", perturbed)):
        check_probabilities(name, rows)
    if not answers.shape[1] == clean.shape[1] == perturbed.shape[1]:
        raise ValueError("table: expected as many classes as the answers have")
    if len(clean) != len(perturbed):
        raise ValueError(f"perturbed: expected {len(clean)} rows, got {len(perturbed)}")
    clean, perturbed = clean.to(answers), perturbed.to(answers)  # a table may have another dtype
    labels = answers.clone()
    top, table_top = answers.argmax(1), perturbed.argmax(1)
    for k in top.unique():
        rows, near = (top == k).nonzero().flatten(), (table_top == k).nonzero().flatten()
        if len(near) == 0:
            continue
        ys, targets = perturbed[near], clean[near]
        for chunk in rows.split(max(1, CELLS // len(near))):
            distances = torch.cdist(answers[chunk], ys, p=1)
            reach = distances.amin(1, keepdim=True).clamp_min(tolerance) + SLACK
            within = (distances <= reach).to(targets)
            labels[chunk] = within @ targets / within.sum(1, keepdim=True)
    return labels / labels.sum(1, keepdim=True)
