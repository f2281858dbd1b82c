"""No defence: the victim's own softmax, or that of the outlier-exposed one."""

import torch
from blocks import Blocks, blocks

from queen_ref.arena.grid import suits
from queen_ref.defenses import DEFENSES, NoDefense, make


def test_the_answer_is_the_victims_own():
    victim, (images, _) = Blocks(), blocks(20)
    assert torch.equal(NoDefense(victim)(images), victim(images).softmax(1))


def test_the_control_answers_for_the_outlier_exposed_victim():
    images, _ = blocks(20)
    exposed = Blocks()
    exposed.head.weight.data = exposed.head.weight.roll(1, 0)
    control = make("none-oe", Blocks(), outlier_exposed=exposed)
    assert torch.equal(control(images), exposed(images).softmax(1))
    assert not torch.equal(control(images).argmax(1), Blocks()(images).argmax(1))
    # It is a row of its own: its labels are not the plain victim's, and nothing is to be undone.
    assert not control.keeps_label and suits("top1", "random", "none-oe")
    assert not suits("ddae", "random", "none-oe") and "none-oe" not in DEFENSES.usual
    assert any("fidelity is to the plain one" in flag for flag in control.flags)
