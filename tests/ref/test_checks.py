"""The checks at the door."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from queen_ref.checks import check_probabilities


@given(classes=st.integers(2, 1000), dtype=st.sampled_from([torch.float16, torch.float32]))
@settings(max_examples=20)
def test_a_softmax_of_any_width_counts_as_probabilities(classes, dtype):
    check_probabilities("probs", torch.randn(3, classes).softmax(1).to(dtype))
