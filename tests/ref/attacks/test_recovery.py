"""Recoveries that know nothing of the defence, and the copy that those who do may run."""

import torch
from thief import POOL, Blur, simplex

from queen_ref.attacks.recovery import as_received, simulate, top1
from queen_ref.defenses import ModelGuardS


def test_answers_as_received_and_their_labels_alone():
    answers = simplex(60, 5, 0)
    assert as_received(POOL, answers) is answers
    labels = top1(POOL, answers)
    assert torch.equal(labels.argmax(1), answers.argmax(1)) and bool((labels.sum(1) == 1).all())
    assert set(labels.unique().tolist()) == {0.0, 1.0}


def test_a_copy_answers_what_the_defence_would_in_any_batches():
    clean, rows = simplex(90, 4, 1), torch.arange(90) % 60
    expected = (clean + 1 / 4) / 2
    for size in (1, 40, 512):
        assert torch.equal(simulate(Blur(None), POOL, rows, clean, size), expected)


def test_a_copy_begins_without_a_memory_and_leaves_the_original_its_own():
    clean, rows = simplex(60, 4, 2), torch.arange(60)
    original = ModelGuardS(torch.nn.Identity(), epsilon=1.0)
    first = original.simulate(POOL, clean)
    assert torch.equal(simulate(original, POOL, rows, clean, 7), first)
    assert torch.equal(original.simulate(POOL, clean), first)
