"""The budget over several accounts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaded import LIE, Jaded, numbered, truth

import queen_ref as qr
from queen_ref.attacks.many_names import ManyNames, ask_in_turns


@given(
    names=st.integers(1, 6),
    calls=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    batch=st.integers(1, 4),
)
@settings(max_examples=40)
def test_every_image_is_asked_once_and_no_account_asks_more_than_one_more(names, calls, batch):
    box = qr.BlackBox(Jaded(10**9), client="thief")
    for count in calls:
        images = numbered(count)
        assert torch.equal(ask_in_turns(box, images, names, batch), truth(images))
    total, asked = sum(calls), box.accounts
    assert box.queries == sum(asked.values()) == total
    assert len(asked) == min(names, total) and max(asked.values()) - min(asked.values()) <= 1


@pytest.mark.parametrize(("names", "honest"), [(1, 5), (2, 10), (3, 12)])
def test_so_many_names_are_told_the_truth_so_many_times_as_often(names, honest):
    box = qr.BlackBox(Jaded(patience=5))
    answers = ManyNames(names).ask(box, numbered(12), query_batch=4, seed=0)
    assert int((answers != LIE).any(1).sum()) == honest


def test_the_first_account_is_the_boxs_own_and_a_spent_budget_is_said_first():
    box = qr.BlackBox(Jaded(9), budget=4, client="eve")
    with pytest.raises(qr.BudgetExceeded):
        ask_in_turns(box, numbered(5), 2)
    assert box.accounts == {}
    ask_in_turns(box, numbered(3), 2)
    assert box.accounts == {"eve": 2, "eve 2": 1}


def test_names_that_are_no_number_are_refused():
    for wrong in (0, 1.5, "two"):
        with pytest.raises(ValueError, match="names: expected"):
            ManyNames(wrong)
