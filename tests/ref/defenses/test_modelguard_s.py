"""ModelGuard-S: its definition, one query after the other."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from queen_ref.defenses import ModelGuardS


def sequential(probs, epsilon):
    """ModelGuard-S as its definition says, one query after the other."""
    books = {}
    for y in probs:
        book = books.setdefault(int(y.argmax()), [])
        near = [c for c in book if float((c - y).abs().sum()) <= epsilon]
        if not near:
            book.append(y)
        yield near[0] if near else y


@given(
    classes=st.integers(2, 8),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    epsilon=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40)
def test_modelguard_s_is_the_sequential_definition(classes, cuts, epsilon, seed):
    random = torch.Generator().manual_seed(seed)
    # In double precision: two that lie epsilon apart up to rounding are never drawn.
    probs = (2 * torch.randn(sum(cuts), classes, generator=random).double()).softmax(1)
    defense = ModelGuardS(torch.nn.Identity(), epsilon)
    blank = torch.zeros(sum(cuts), 1, 8, 8)
    batches = zip(blank.split(cuts), probs.split(cuts), strict=True)
    answers = torch.cat([defense.simulate(*batch) for batch in batches])
    torch.testing.assert_close(answers, torch.stack([*sequential(probs, epsilon)]))
