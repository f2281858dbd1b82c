"""A batch in a few rounds against the pass one by one."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from queen_ref.sequential import first_come


@given(count=st.integers(1, 40), share=st.floats(0, 1), seed=st.integers(0, 10_000))
def test_the_rounds_keep_whom_the_loop_keeps(count, share, seed):
    generator = torch.Generator().manual_seed(seed)
    close = (torch.rand(count, count, generator=generator) < share).tril(-1)
    candidates = torch.rand(count, generator=generator) < 0.8
    kept: list[int] = []
    for index in range(count):
        if candidates[index] and not bool(close[index, kept].any()):
            kept.append(index)
    assert first_come(close, candidates).nonzero()[:, 0].tolist() == kept
