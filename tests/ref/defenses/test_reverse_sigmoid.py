"""Reverse sigmoid: its formula, and where it keeps the label."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from queen_ref.defenses import ReverseSigmoid

IMAGE = torch.zeros(1, 1, 8, 8)


def test_reverse_sigmoid_is_its_formula(parts):
    probs = torch.distributions.Dirichlet(torch.ones(6)).sample((50,)).double()
    moved = probs - 0.21 * (torch.sigmoid(0.2 * torch.logit(probs)) - 0.5)
    answers = ReverseSigmoid(parts["victim"]).simulate(IMAGE.expand(50, -1, -1, -1), probs)
    torch.testing.assert_close(answers, moved / moved.sum(1, keepdim=True))


@given(classes=st.integers(2, 1000), data=st.data())
def test_reverse_sigmoid_keeps_the_label_where_it_says_so(classes, data):
    victim = torch.nn.Identity()
    victim.num_classes = classes
    defense = ReverseSigmoid(victim, beta=min(0.21, 2.1 / classes))
    assert defense.keeps_label
    spread = data.draw(st.floats(0.01, 40))
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))
    probs = (spread * torch.randn(20, classes, generator=random, dtype=torch.double)).softmax(1)
    answers = defense.simulate(IMAGE.expand(20, -1, -1, -1), probs)
    assert torch.equal(answers.argmax(1), probs.argmax(1))
