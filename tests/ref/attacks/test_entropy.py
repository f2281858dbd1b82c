"""Active learning by entropy."""

import pytest
import torch
from blocks import Blocks, blocks
from torch.distributions import Categorical

from queen_ref.attacks.entropy import EntropyPolicy, entropy
from queen_ref.attacks.rim import first_look
from queen_ref.metrics import predict

POOL = blocks(60)[0]


@pytest.mark.parametrize("budget", [1, 2, 5, 41, 60])
def test_every_round_asks_about_the_most_uncertain_images_that_are_left(budget):
    sent, trained = [], []

    def ask(images):
        sent.append(images)
        return predict(Blocks(), images)

    def train(images, answers):
        trained.append(len(images))
        return Blocks()

    images, answers = EntropyPolicy()(ask, POOL, budget, train, seed=1)
    assert len(images) == budget and torch.equal(images, torch.cat(sent))
    assert torch.equal(answers, predict(Blocks(), images))
    assert trained == [sum(map(len, sent[:i])) for i in range(1, len(sent))]  # on all so far
    _, rest = first_look(POOL, budget, seed=1)
    left = list(range(len(rest)))
    for part in sent[1:]:
        doubts = entropy(predict(Blocks(), rest[left]))
        best = doubts.sort(descending=True).values[: len(part)]
        torch.testing.assert_close(entropy(predict(Blocks(), part)), best)
        left = [row for row in left if not any(torch.equal(rest[row], x) for x in part)]
    assert len(left) == 60 - budget  # none twice


def test_the_rounds_share_what_is_left_evenly():
    counts = []

    def ask(images):
        counts.append(len(images))
        return predict(Blocks(), images)

    EntropyPolicy()(ask, POOL, 60, lambda images, answers: Blocks(), seed=0)
    assert counts == [30, 7, 7, 8, 8]


def test_entropy_is_shannons():
    probs = torch.rand(20, 5, generator=torch.Generator().manual_seed(0)) + 0.01
    probs = probs / probs.sum(1, keepdim=True)
    torch.testing.assert_close(entropy(probs), Categorical(probs).entropy())
    assert entropy(torch.eye(3)).tolist() == [0, 0, 0]
