"""Early: the first answers judge the others."""

import pytest
import torch
from blocks import CLASSES, blocks
from thief import TINY, simplex

from queen_ref.attacks import Knowledge
from queen_ref.attacks.early import Early


def recover(first, images, answers, seed=0):
    return Early(first).begin(images, Knowledge(), TINY, seed)(images, answers)


def test_lies_after_honest_first_answers_are_left_out():
    images, labels = blocks(120)
    lie = (torch.arange(120) % 3 == 0) & (torch.arange(120) >= 40)
    answers = torch.eye(CLASSES)[torch.where(lie, (labels + 1) % CLASSES, labels)]
    kept = recover(40, images, answers)
    assert torch.equal(kept[~lie], answers[~lie]) and not bool(kept[lie].any())


def test_the_first_answers_are_kept_whatever_they_say_and_the_later_ones_judge_nobody():
    images, labels = blocks(100)
    answers = simplex(100, CLASSES, 0)
    one = recover(40, images, answers)
    assert torch.equal(one[:40], answers[:40])
    other = answers.clone()
    other[70:] = answers[70:].flip(1)
    assert torch.equal(recover(40, images, other)[:70], one[:70])


@pytest.mark.parametrize("count", [2, 40])
def test_a_thief_with_no_more_than_the_first_keeps_all(count):
    images, answers = blocks(count)[0], simplex(count, CLASSES, 0)
    assert recover(40, images, answers) is answers


def test_a_judge_of_one_answer_is_refused():
    with pytest.raises(ValueError, match="first"):
        Early(first=1)
