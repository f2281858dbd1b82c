"""The same image from a second, fresh account."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaded import LIE, Jaded, numbered, truth
from thief import simplex

import queen_ref as qr
from queen_ref.attacks.ask_twice import AskTwice, ask_witnesses, believed


def test_fresh_witnesses_undo_every_lie_at_twice_the_price():
    box, images = qr.BlackBox(Jaded(patience=5), client="thief"), numbered(12)
    answers = AskTwice(fresh_for=5).ask(box, images, query_batch=4, seed=0)
    torch.testing.assert_close(answers, truth(images))
    assert box.queries == 24
    assert box.accounts == {
        "thief": 12, "thief, witness 1": 5, "thief, witness 2": 5, "thief, witness 3": 2,
    }  # fmt: skip


def test_a_witness_who_asks_too_much_is_lied_to_as_well():
    answers = AskTwice(fresh_for=12).ask(qr.BlackBox(Jaded(5)), numbered(12), 4, seed=0)
    assert torch.equal(answers[5:], LIE.expand(7, 4))


@given(calls=st.lists(st.integers(1, 9), min_size=1, max_size=4), fresh=st.integers(1, 5))
@settings(max_examples=30)
def test_a_later_call_goes_on_with_the_last_witness(calls, fresh):
    box = qr.BlackBox(Jaded(fresh))
    for count in calls:
        images = numbered(count)
        assert torch.equal(ask_witnesses(box, images, fresh, query_batch=3), truth(images))
    assert len(box.accounts) == -(-sum(calls) // fresh)


def test_the_witness_is_believed_where_the_two_differ():
    first, witness = simplex(50, 4, 0), simplex(50, 4, 1)
    witness[:20] = first[:20] + 1e-6  # no more than rounding
    found = believed(first, witness)
    for row in range(50):
        same = float((first[row] - witness[row]).abs().sum()) <= 1e-3
        assert torch.equal(found[row], first[row] if same else witness[row])


def test_a_budget_for_one_question_each_is_not_enough():
    box = qr.BlackBox(Jaded(9), budget=23)
    with pytest.raises(qr.BudgetExceeded):
        AskTwice().ask(box, numbered(12), 4, seed=0)
    assert box.queries == 0
    with pytest.raises(ValueError, match="fresh_for: expected"):
        AskTwice(0)
