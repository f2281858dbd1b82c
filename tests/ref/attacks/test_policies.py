"""Which images a thief sends."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from queen_ref.attacks import random_queries

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@given(budget=st.integers(1, 50), more=st.integers(0, 50), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_a_larger_budget_extends_the_smaller(budget, more, seed):
    pool = torch.linspace(0, 1, 100)[:, None, None, None].expand(100, 1, 8, 8)
    small = random_queries(pool, budget, seed)[:, 0, 0, 0]
    large = random_queries(pool, budget + more, seed)[:, 0, 0, 0]
    assert torch.equal(large[:budget], small) and len(large.unique()) == len(large)


def test_a_budget_larger_than_the_pool_is_refused():
    with pytest.raises(ValueError, match="at most the pool's 6 images, got 7"):
        random_queries(IMAGES, 7)
