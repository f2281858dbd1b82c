"""Zero: an exact zero names the label that was to be hidden."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from thief import simplex

import queen_ref as qr
from queen_ref.attacks.zero import Zero


@given(classes=st.integers(3, 12), seed=st.integers(0, 999))
def test_the_label_of_a_sure_victim_is_read_from_its_reversed_answer(classes, seed):
    rows = 30
    labels = torch.arange(rows) % classes
    victim = 0.99 * torch.eye(classes)[labels] + 0.01 / classes
    shadow = (simplex(rows, classes, seed) + 1) / (classes + 1)  # weak: at most 2 / (K + 1)
    shadow[shadow.argmax(1) == labels] = 1 / classes
    for method in ("cosine", "exact"):
        answers = qr.reverse_gradient(victim, shadow, method)
        told = (answers == 0).sum(1) == 1
        read = Zero()(None, answers)
        assert torch.equal(read[told], torch.eye(classes)[labels][told])
        assert torch.equal(read[~told], answers[~told])
        assert method == "exact" or bool(told.all())  # "exact" may round to one entry above zero


def test_answers_without_a_zero_and_with_many_stay_as_they_are():
    soft = simplex(40, 5, 0).clamp_min(1e-6)
    for answers in (soft, soft.round(decimals=1), torch.eye(5)):
        answers = answers[(answers == 0).sum(1) != 1]
        assert len(answers) > 4 and torch.equal(Zero()(None, answers), answers)


def test_of_two_classes_a_zero_names_nothing():
    assert torch.equal(Zero()(None, torch.eye(2)), torch.eye(2))
