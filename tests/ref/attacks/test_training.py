"""Asking, and training a substitute on the answers."""

from dataclasses import replace

import torch

import queen_ref as qr
from queen_ref.attacks import ask
from queen_ref.training import SUBSTITUTE

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def uniform(images):
    return torch.full((len(images), 4), 0.25)


def test_knockoff_spends_its_budget_and_no_more():
    api = qr.BlackBox(uniform, budget=5)
    recipe = replace(SUBSTITUTE, epochs=1)
    substitute = qr.attacks.knockoff(api, IMAGES, 5, recipe, query_batch=2, seed=0)
    assert api.queries == 5 and substitute.num_classes == 4


def test_the_same_seed_steals_the_same_substitute():
    recipe = replace(SUBSTITUTE, epochs=2)
    one, same = (qr.attacks.knockoff(uniform, IMAGES, 6, recipe, seed=3) for _ in range(2))
    torch.testing.assert_close(one.state_dict(), same.state_dict())


def test_answers_come_back_in_the_order_of_the_queries():
    answers = ask(lambda x: x.flatten(1)[:, :2].softmax(1), IMAGES, query_batch=4)
    torch.testing.assert_close(answers, IMAGES.flatten(1)[:, :2].softmax(1))
