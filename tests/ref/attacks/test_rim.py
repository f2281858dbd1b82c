"""Images that a first substitute is unsure of."""

import torch
from blocks import Blocks, blocks

from queen_ref.attacks import random_queries
from queen_ref.attacks.policies import FREE
from queen_ref.attacks.rim import RimPolicy, first_look, least_sure
from queen_ref.metrics import predict

POOL = blocks(200)[0]


def test_random_images_come_first_and_then_the_least_sure_of_the_rest():
    sent, trained = [], []

    def ask(images):
        sent.append(images)
        return predict(Blocks(), images)

    def train(images, answers):
        trained.append(len(images))
        return Blocks()

    images, answers = RimPolicy()(ask, POOL, 150, train, seed=3)
    assert [len(part) for part in sent] == [FREE, 150 - FREE] and trained == [FREE]
    assert torch.equal(images, torch.cat(sent)) and torch.equal(answers, predict(Blocks(), images))
    shuffled = random_queries(POOL, 200, seed=3)
    assert torch.equal(sent[0], shuffled[:FREE])
    sure = predict(Blocks(), shuffled[FREE:]).amax(1).tolist()
    least = sorted(range(len(sure)), key=lambda row: sure[row])[: 150 - FREE]
    assert torch.equal(sent[1], shuffled[FREE:][least])


def test_a_first_look_is_half_of_a_small_budget():
    for budget, first in ((1, 1), (2, 1), (45, 23), (128, FREE), (200, FREE)):
        looked, rest = first_look(POOL, budget, seed=0)
        assert len(looked) == first and len(rest) == 200 - first
    images, _ = RimPolicy()(lambda x: predict(Blocks(), x), POOL, 1, None, seed=0)
    assert len(images) == 1  # and nothing is trained


def test_equally_sure_images_keep_their_order():
    probs = torch.tensor([[0.5, 0.5], [0.4, 0.6], [0.5, 0.5]])
    assert least_sure(probs).tolist() == [0, 2, 1]
