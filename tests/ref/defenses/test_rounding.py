"""Rounding comes back to the simplex."""

import torch

from queen_ref.defenses import Rounding

IMAGE = torch.zeros(1, 1, 8, 8)


def test_rounding_comes_back_to_the_simplex(parts):
    defense = Rounding(parts["victim"])
    probs = torch.tensor([[0.78, 0.18, 0.04], [0.46, 0.46, 0.08]])
    expected = torch.tensor([[0.8, 0.2, 0.0], [5 / 11, 5 / 11, 1 / 11]])
    torch.testing.assert_close(defense.simulate(IMAGE.expand(2, -1, -1, -1), probs), expected)


def test_where_all_rounds_to_zero_the_answer_is_uniform(parts):
    probs = (torch.randn(1, 100, generator=torch.Generator().manual_seed(0)) / 5).softmax(1)
    answer = Rounding(parts["victim"]).simulate(IMAGE, probs)
    torch.testing.assert_close(answer, torch.full((1, 100), 0.01))
