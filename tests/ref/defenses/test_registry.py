"""Defences of one's own, by name and by what they ask for."""

from functools import partial

import pytest
import torch
from blocks import Blocks, blocks

from queen_ref.defenses import DEFENSES, Defense, Rounding, make, register
from queen_ref.defenses.registry import find, parts_of, settings_in
from queen_ref.registry import says


@pytest.fixture(autouse=True)
def registry():
    before = dict(DEFENSES)
    yield
    DEFENSES.clear()
    DEFENSES.update(before)


class Mean(Defense):
    """The mean of the training set's classes, for whoever asks."""

    name = "mean"

    def __init__(self, victim, images, labels, seed, share=1.0):
        super().__init__(victim)
        self.seed, self.share = seed, share
        self.shares = labels.bincount() / len(labels)

    def answer(self, images, probs):
        return self.shares.repeat(len(probs), 1)


IMAGES, LABELS = blocks(40)


def test_what_can_be_set_of_a_defence_are_its_numbers_that_no_name_fixes():
    assert settings_in(Mean) == ("share",)
    assert settings_in(partial(Mean, share=0.5)) == ()
    assert settings_in(find("am")) == ("tau",) and settings_in(find("none")) == ()


def test_an_argument_that_is_called_like_a_part_gets_it():
    assert parts_of(Mean) == ("images", "labels", "seed")
    assert parts_of(partial(Mean, seed=3)) == ("images", "labels")
    defense = make(Mean, Blocks(), images=IMAGES, labels=LABELS, seed=7)
    assert defense.seed == 7 and torch.equal(defense(IMAGES[:1]), torch.full((1, 4), 0.25))
    assert make(partial(Mean, seed=3), Blocks(), images=IMAGES, labels=LABELS, seed=7).seed == 3
    with pytest.raises(ValueError, match="mean: expected images and labels beside the victim"):
        make(Mean, Blocks())


def test_a_registered_name_is_as_good_as_the_class():
    assert register(Mean) is Mean and find("mean") is Mean and list(DEFENSES)[-1] == "mean"
    register(partial(Rounding, decimals=2), "rounding-2")
    assert make("rounding-2", Blocks()).decimals == 2
    register(partial(Rounding, decimals=3), "rounding-2")  # a cell of a notebook, run again
    assert make("rounding-2", Blocks()).decimals == 3


@pytest.mark.parametrize(
    ("thing", "name", "says_what"),
    [
        (Mean, "queen", "is the package's"),
        (Mean, "queen-authors", "is the package's"),
        (Mean, "all", "expected a name"),
        (Mean, "a b,c", "expected a name"),
        (3, "three", "expected make"),
        (Rounding(Blocks()), "mine", "one that has its victim: give the class Rounding"),
        (Defense, "mine", r"without a method answer\(images, probs\)"),
        (lambda images, probs: probs, "mine", r"got <lambda>\(images, probs\)"),
        (lambda victim, scale: victim, "mine", r"got <lambda>\(victim, scale\)"),
    ],
)
def test_what_cannot_be_a_name_or_a_defence_is_refused(thing, name, says_what):
    with pytest.raises(ValueError, match=says_what):
        register(thing, name)


def test_what_a_name_promises_is_what_the_made_one_promises():
    for name in ("none", "top1", "rounding", "reverse-sigmoid", "modelguard-w", "modelguard-s"):
        made = make(name, Blocks())
        assert says(find(name), "keeps_label", False) == made.keeps_label, name
        assert says(find(name), "stateful", False) == made.stateful, name


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (lambda victim: victim, "<lambda>: expected make\\(victim\\) to give a Defense"),
        (type("Memory", (Rounding,), {"stateful": True, "name": "memory"}), "memory: .*fresh"),
        (lambda victim: None, "got NoneType"),
        (type("Bare", (Rounding,), {"__init__": lambda *_: None}), r"super\(\).__init__\(vic"),
    ],
)
def test_what_makes_no_defence_is_refused(maker, message):
    with pytest.raises(ValueError, match=message):
        make(maker, Blocks())
