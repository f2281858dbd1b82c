"""A table of (clean, perturbed) answers around what the victim really said.

D-DAE+ and p-Bayes know the victim's clean answers y_i (a much stronger attacker). They draw
others near them,

    y ~ Dirichlet(8 K y_i),        mean y_i, the tighter the more classes,

20 per query, and ask their copy of the defence what it would make of each.
"""

import numpy as np
import torch
from torch import Tensor

from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.recovery import simulate
from queen_ref.checks import check_probabilities
from queen_ref.modes import evaluating

CONCENTRATION = 8  # per class


def dirichlet_table(
    images: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Clean and perturbed answers, each (T, K) with T = N times `per_query`, at most `table`.

    Fewer draws per query are made where the table would grow too large, never fewer than one.
    The first N rows belong to the N images (N, C, H, W) in their order, so do the next N: a
    stateful copy of the defence first sees the queries as the real one did.

    >>> clean, perturbed = dirichlet_table(queries, knowledge, Sizes(per_query=20))
    """
    if knowledge.clean is None or knowledge.defense is None:
        raise ValueError("knowledge: expected the clean answers and a copy of the defense")
    with evaluating(knowledge.clean):
        center = torch.cat([knowledge.clean(part) for part in images.split(512)])
    check_probabilities("clean", center)
    draws = max(1, min(sizes.per_query, sizes.table // len(images)))
    generator = np.random.default_rng(seed)
    clean = torch.cat([sample_dirichlet(center, generator) for _ in range(draws)])
    rows = torch.arange(len(images), device=images.device).repeat(draws)
    return clean, simulate(knowledge.defense, images, rows, clean)


def sample_dirichlet(center: Tensor, generator: np.random.Generator) -> Tensor:
    """One row of Dirichlet(8 K y) for every row y of `center` (N, K).

    Gamma variables over their sum. A class the victim gives exactly 0 stays at 0.

    >>> sample_dirichlet(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), np.random.default_rng(0))
    tensor([[0.4557, 0.5443],
            [1.0000, 0.0000]])
    """
    shape = CONCENTRATION * center.shape[1] * center.clamp_min(0).double().cpu().numpy()
    gammas = torch.from_numpy(generator.standard_gamma(shape))
    return (gammas / gammas.sum(1, keepdim=True)).to(center)
