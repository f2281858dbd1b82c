"""Top-1: a one-hot answer of the victim's label."""

import torch
from blocks import Blocks

from queen_ref.defenses import Top1


def test_the_answer_is_the_label_and_nothing_else():
    probs = (3 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))).softmax(1)
    answers = Top1(Blocks()).simulate(torch.zeros(50, 1, 8, 8), probs)
    assert torch.equal(answers.argmax(1), probs.argmax(1))
    assert torch.equal(answers.sort(1).values, torch.tensor([0.0, 0, 0, 1]).expand(50, 4))
