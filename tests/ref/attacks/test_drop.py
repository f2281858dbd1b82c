"""Drop: what is less sure than the first answers were is left out."""

import pytest
import torch
from blocks import Blocks, blocks
from hypothesis import given
from hypothesis import strategies as st
from thief import TINY, equal, simplex

import queen_ref as qr
from queen_ref.attacks import steal, train_substitute
from queen_ref.attacks.drop import Drop


@given(
    rows=st.integers(1, 80),
    first=st.integers(1, 90),
    share=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    decimals=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_a_share_of_the_first_is_dropped_and_who_is_dropped_is_less_sure(
    rows, first, share, decimals, seed
):
    answers = simplex(rows, 3, seed).round(decimals=decimals)  # coarse, so that some are equal
    labels = Drop(first, share)(None, answers)
    kept = labels.sum(1) > 0
    assert torch.equal(labels[kept], answers[kept])
    sure = [max(row) for row in answers.tolist()]
    early = sorted(sure[:first])
    assert int((~kept[:first]).sum()) <= share * len(early)
    bound = early[min(int(share * len(early)), len(early) - 1)]
    assert kept.tolist() == [value >= bound for value in sure]


def test_only_the_first_decide():
    answers, drop = simplex(100, 4, 0), Drop(first=20)
    kept = drop(None, answers).sum(1) > 0
    assert torch.equal(kept[:20], drop(None, answers[:20]).sum(1) > 0)
    assert torch.equal(kept[20:], answers[20:].amax(1) >= drop.bound(answers[:20].amax(1)))


def test_answers_that_are_all_as_sure_are_all_kept():
    hard = torch.eye(5).repeat(20, 1)
    assert torch.equal(Drop()(None, hard), hard)


def test_the_substitute_never_sees_what_was_dropped():
    pool, drop = blocks(80)[0], Drop(first=40, share=0.25)
    theft = steal(qr.NoDefense(Blocks()), pool, 80, attack=qr.attacks.Attack(drop), sizes=TINY)
    kept = theft.labels.sum(1) > 0
    assert 0 < int(kept.sum()) < 80 == theft.queries
    same = train_substitute(theft.images[kept], theft.answers[kept], TINY.recipe)
    assert equal(theft.substitute, same)


@pytest.mark.parametrize("settings", [{"first": 0}, {"share": 1.1}, {"share": -0.1}])
def test_a_share_that_is_none_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Drop(**settings)
