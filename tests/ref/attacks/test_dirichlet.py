"""The table of clean answers around those of the victim."""

from dataclasses import replace

import pytest
import torch
from thief import POOL, TINY, Blur, simplex

from queen_ref.attacks import Knowledge
from queen_ref.attacks.dirichlet import dirichlet_table
from queen_ref.checks import check_probabilities


@pytest.mark.parametrize(("table", "rows"), [(10_000, 240), (150, 120), (2, 60)])
def test_the_dirichlet_table_lies_around_the_clean_answers(table, rows):
    center = simplex(60, 4, 0)
    center[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    knowledge = Knowledge(Blur(None), clean=lambda images: center)
    clean, perturbed = dirichlet_table(POOL, knowledge, replace(TINY, table=table, per_query=4))
    check_probabilities("clean", clean)
    assert len(clean) == len(perturbed) == rows
    assert torch.equal(clean[0], center[0])
    means = clean.reshape(-1, 60, 4).mean(0)
    assert float((means - center).abs().mean()) < 0.08  # at most 0.053 in 300 draws
