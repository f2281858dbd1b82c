"""A thief who makes his images."""

import numpy as np
import pytest
import torch
from blocks import Blocks
from thief import POOL, TINY, simplex

from queen_ref.attacks.data_free import DIVERSITY, NOISE, DataFreePolicy, Game, agreed, generator
from queen_ref.metrics import predict

BUDGET = 3


def steal(seed, pool=POOL):
    sent = []

    def ask(images):
        sent.append(images)
        return predict(Blocks(), images)

    return DataFreePolicy()(ask, pool, BUDGET, None, seed, TINY), torch.cat(sent)


def test_it_asks_twenty_times_the_budget_about_images_of_its_own():
    (images, answers), sent = steal(0)
    assert torch.equal(images, sent) and torch.equal(answers, predict(Blocks(), images))
    assert images.shape == (20 * BUDGET, 1, 8, 8) and not torch.equal(images[:20], images[20:40])
    assert 0 <= float(images.min()) <= float(images.max()) <= 1


def test_of_the_pool_it_takes_the_shape_alone_and_the_seed_decides():
    (one, _), (same, _) = steal(0)[0], steal(0, torch.zeros(1, 1, 8, 8))[0]
    assert torch.equal(one, same) and not torch.equal(one, steal(1)[0][0])


def test_the_generator_wants_students_who_disagree_about_all_classes():
    one, other = simplex(30, 4, 0), simplex(30, 4, 1)
    spread = np.std([one.numpy(), other.numpy()], axis=0).mean()
    mean = (one.numpy().mean(0) + other.numpy().mean(0)) / 2
    expected = -spread + DIVERSITY * (mean * np.log(mean)).sum()
    assert float(agreed(one, other)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 9, 15)])
def test_it_makes_images_of_any_shape(shape):
    made = generator(shape)(torch.randn(3, NOISE))
    assert (
        made.shape == (3, *shape)
        and 0 <= float(made.detach().min()) <= float(made.detach().max()) <= 1
    )


def test_a_step_moves_all_three_and_asks_nobody():
    game = Game(POOL, "small_cnn", seed=0)
    before = [weight.clone() for weight in game.maker.parameters()]
    game.play(POOL[:12], torch.eye(3)[torch.arange(12) % 3], batch=8)
    assert any((a != b).any() for a, b in zip(before, game.maker.parameters(), strict=True))
    one, other = (predict(student, POOL) for student in game.students)
    assert one.shape == (60, 3) and not torch.equal(one, other)
