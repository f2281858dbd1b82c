"""Reverse sigmoid: its formula, and where it keeps the label."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from queen_ref.defenses import ReverseSigmoid, make

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


# How many classes ------------------------------------------------------------------------


def plain(classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))


class Headed(nn.Module):
    """A head defined before a wider layer: the last in the list is not the last to run."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(256, 100), nn.Linear(64, 256)

    def forward(self, images):
        return self.head(self.body(images.flatten(1)))


@pytest.mark.parametrize(
    "victim",
    [plain(100), nn.Sequential(plain(9), nn.Sequential(nn.Linear(9, 100))), Headed()],
    ids=["sequential", "nested", "head"],
)
def test_the_last_layer_says_how_many_classes_there_are(victim):
    assert make("reverse-sigmoid", victim).beta == 0.021
    assert make("reverse-sigmoid", victim, classes=100).beta == 0.021
    with pytest.raises(ValueError, match="^classes: expected the victim's 100, got 10"):
        make("reverse-sigmoid", victim, classes=10)


@pytest.mark.parametrize(
    "victim",
    [lambda x: x.flatten(1), nn.Sequential(nn.Linear(64, 9), nn.Softmax(1)), nn.Identity()],
    ids=["function", "no layer at the end", "module"],
)
def test_a_victim_that_does_not_say_its_classes_is_asked(victim):
    with pytest.raises(ValueError, match="^reverse-sigmoid: expected classes=K"):
        make("reverse-sigmoid", victim)
    assert make("reverse-sigmoid", victim, classes=1000).beta == pytest.approx(0.0021)
    assert make("mad", victim).name == "mad"  # who needs no K asks for none


@pytest.mark.parametrize("classes", [1, 2.5, "10", True])
def test_a_number_of_classes_that_is_none_is_refused(classes):
    with pytest.raises(ValueError, match="^classes: expected an integer >= 2"):
        make("reverse-sigmoid", plain(100), classes=classes)


def test_adaptive_misinformation_asks_the_model_that_answers():
    am = make("am", lambda x: x, outlier_exposed=plain(100), misinformation=plain(100))
    assert am.tau == 0.4
