"""No defence: the victim's own softmax."""

import torch
from blocks import Blocks, blocks

from queen_ref.defenses import NoDefense


def test_the_answer_is_the_victims_own():
    victim, (images, _) = Blocks(), blocks(20)
    assert torch.equal(NoDefense(victim)(images), victim(images).softmax(1))
