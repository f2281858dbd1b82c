"""Unswap: a false class that neighbours share is undone by what a judge thinks of them."""

import pytest
import torch
from blocks import CLASSES, Blocks, blocks
from thief import TINY, simplex

from queen_ref.attacks import Knowledge
from queen_ref.attacks.unswap import Unswap, heard_alike
from queen_ref.attacks.vote import features_of


def recover(first, images, answers, seed=0):
    return Unswap(first).begin(images, Knowledge(), TINY, seed)(images, answers)


def swapped(answers, labels, others):
    """One row after the other."""
    rows = answers.clone()
    for row, k, f in zip(rows, labels.tolist(), others.tolist(), strict=True):
        row[k], row[f] = row[f].clone(), row[k].clone()
    return rows


def soft(labels):
    """Sure answers whose other entries differ."""
    return (5 * torch.eye(CLASSES)[labels] + torch.arange(CLASSES) / 10).softmax(1)


def test_what_was_exchanged_after_the_first_answers_is_exchanged_back():
    images, labels = blocks(120)
    lie = (torch.arange(120) % 3 != 0) & (torch.arange(120) >= 40)
    told = torch.where(lie, (labels + 1) % CLASSES, labels)
    honest = soft(labels)
    assert torch.equal(recover(40, images, swapped(honest, labels, told)), honest)
    assert torch.equal(recover(40, images, honest), honest)


def test_a_judge_who_is_wrong_about_one_in_four_is_outvoted():
    images, labels = blocks(120)
    features = features_of(Blocks(), images)
    told = (labels + 1) % CLASSES
    wrong = torch.arange(120) // CLASSES % 4 == 0  # of each class's 30 images 8
    opinions = torch.eye(CLASSES)[torch.where(wrong, (labels + 2) % CLASSES, labels)]
    assert torch.equal(heard_alike(features, opinions, told, 30), labels)
    assert torch.equal(heard_alike(features, opinions, told, 1), opinions.argmax(1))


def test_only_those_vote_who_were_told_the_same():
    # All lie at one place; the judge knows each. Told 1 are two of class 0, told 2 one of class 1.
    told = torch.tensor([1, 1, 2])
    opinions = torch.eye(3)[[0, 0, 1]]
    assert heard_alike(torch.ones(3, 2), opinions, told, 3).tolist() == [0, 0, 1]


def test_the_numbers_of_every_answer_stay_and_the_first_answers_whole():
    images, answers = blocks(100)[0], simplex(100, CLASSES, 0)
    labels = recover(40, images, answers)
    assert torch.equal(labels.sort(1).values, answers.sort(1).values)
    assert torch.equal(labels[:40], answers[:40])
    few = answers[:40]
    assert recover(40, images[:40], few) is few


@pytest.mark.parametrize("bad", [{"first": 1}, {"neighbours": 0}])
def test_numbers_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Unswap(**bad)
