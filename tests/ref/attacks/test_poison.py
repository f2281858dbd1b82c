"""A shared ledger turned against its customers."""

import math

import pytest
import torch
from thief import POOL, simplex

from queen_ref.attacks import random_queries
from queen_ref.attacks.poison import PLACED, PoisonPolicy, price


@pytest.mark.parametrize(("classes", "budget", "sent"), [(2, 180, 60), (4, 180, 120), (4, 11, 11),
                                                         (100, 180, 180)])  # fmt: skip
def test_thirty_random_queries_a_class_are_sent_within_the_budget(classes, budget, sent):
    pool, asked = POOL.repeat(3, 1, 1, 1), []

    def ask(images):
        asked.append(images)
        return simplex(len(images), classes, seed=len(asked))

    images, answers = PoisonPolicy()(ask, pool, budget, None, seed=5)
    assert len(images) == sent == min(budget, PLACED * classes)
    assert torch.equal(images, torch.cat(asked)) and answers.shape == (sent, classes)
    assert torch.equal(images, random_queries(pool, budget, seed=5)[:sent])


def test_the_price_of_a_point():
    assert price(200, 0.9, 0.5) == 5 and price(10, 0.5, 0.5) == price(10, 0.5, 0.6) == math.inf
