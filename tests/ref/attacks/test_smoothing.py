"""Smoothing: ask thrice, average once."""

import torch
from thief import POOL

from queen_ref.attacks.smoothing import ask_smoothed


def test_smoothing_averages_three_augmented_answers():
    asked = []

    def api(images):
        asked.append(images)
        level = torch.full((len(images), 1), 0.1 * len(asked))
        return torch.cat([level, 1 - level], 1)

    answers = ask_smoothed(api, POOL[:4])
    torch.testing.assert_close(answers, torch.tensor([[0.2, 0.8]]).expand(4, 2))
    assert len(asked) == 3 and not torch.equal(asked[0], asked[1])
