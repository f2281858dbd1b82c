"""Vote: the mean answer of the neighbours."""

import pytest
import torch
from blocks import CLASSES, Blocks, blocks
from hypothesis import given, settings
from hypothesis import strategies as st
from thief import POOL, TINY, simplex, victim_of

from queen_ref.attacks import Knowledge, train_substitute
from queen_ref.attacks.vote import Vote, features_of, neighbours_mean


def slow_mean(features, answers, count):
    """The definition, a pair at a time."""
    means = []
    for one in features:
        angles = [float(one @ other / (one.norm() * other.norm())) for other in features]
        nearest = sorted(range(len(angles)), key=lambda j: -angles[j])[:count]
        means.append(sum(answers[j] for j in nearest) / len(nearest))
    return torch.stack(means)


@settings(max_examples=30)
@given(
    rows=st.integers(1, 25),
    count=st.integers(1, 30),
    chunk=st.sampled_from([1, 60, 10_000]),
    seed=st.integers(0, 999),
)
def test_the_mean_of_the_nearest_is_what_its_definition_says(rows, count, chunk, seed):
    features = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))
    answers = simplex(rows, 3, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("queen_ref.attacks.vote.CELLS", chunk)
        means = neighbours_mean(features, answers, count)
    torch.testing.assert_close(means, slow_mean(features.double(), answers, count))


def test_lies_in_many_directions_are_outvoted_and_lies_that_agree_are_not():
    images, labels = blocks(120)
    features = features_of(Blocks(), images)
    turn = torch.arange(len(labels)) // CLASSES  # of every class each third answer is a lie
    lie = turn % 3 == 0
    spread = torch.where(lie, (labels + 1 + turn // 3 % (CLASSES - 1)) % CLASSES, labels)
    voted = neighbours_mean(features, torch.eye(CLASSES)[spread], 30)
    assert torch.equal(voted.argmax(1), labels)
    agreed = torch.where(turn % 3 != 0, (labels + 1) % CLASSES, labels)
    voted = neighbours_mean(features, torch.eye(CLASSES)[agreed], 30)
    assert torch.equal(voted.argmax(1), (labels + 1) % CLASSES)


def test_the_features_are_those_of_a_substitute_of_the_same_answers():
    answers = simplex(40, 3, 1)
    first = train_substitute(POOL[:40], answers, TINY.recipe, seed=5)
    heard = neighbours_mean(features_of(first, POOL[:40]), answers, 4)
    recover = Vote(neighbours=4).begin(POOL, Knowledge(), TINY, seed=5)
    assert torch.equal(recover(POOL[:40], answers), torch.eye(3)[heard.argmax(1)])
    alone = Vote(neighbours=1).begin(POOL, Knowledge(), TINY, seed=5)
    assert torch.equal(alone(POOL[:40], answers), torch.eye(3)[answers.argmax(1)])


def test_features_come_in_batches_and_leave_the_mode_alone():
    model = victim_of(3).train()
    features = features_of(model, POOL, batch_size=7)
    assert all(part.training for part in model.modules())
    torch.testing.assert_close(features, model.eval().features(POOL))


def test_no_neighbour_is_refused():
    with pytest.raises(ValueError, match="neighbours"):
        Vote(neighbours=0)
