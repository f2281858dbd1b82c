"""A shared ledger turned against its customers."""

import math

import torch
from blocks import Blocks, blocks
from hypothesis import given
from hypothesis import strategies as st
from thief import simplex

from queen_ref.attacks.poison import PLACED, PoisonPolicy, in_turns, price
from queen_ref.attacks.rim import first_look
from queen_ref.metrics import predict


def test_thirty_queries_a_class_are_placed_where_the_substitute_is_surest():
    pool, sent = blocks(300)[0], []

    def ask(images):
        sent.append(images)
        return predict(Blocks(), images)

    images, answers = PoisonPolicy()(ask, pool, 300, lambda x, y: Blocks(), seed=0)
    assert len(images) == PLACED * 4 and torch.equal(answers, predict(Blocks(), images))
    _, rest = first_look(pool, 300, seed=0)
    labels, sure = predict(Blocks(), rest).argmax(1), predict(Blocks(), rest).amax(1)
    count = len(sent[1]) // 4
    for k in range(4):
        mine = sent[1][predict(Blocks(), sent[1]).argmax(1) == k]
        assert len(mine) == count
        best = sure[labels == k].sort(descending=True).values[:count]
        torch.testing.assert_close(predict(Blocks(), mine).amax(1), best)


def test_a_small_budget_is_kept():
    pool = blocks(80)[0]
    images, _ = PoisonPolicy()(lambda x: predict(Blocks(), x), pool, 11, lambda x, y: Blocks(), 0)
    assert len(images) == 11


@given(seed=st.integers(0, 99), count=st.integers(1, 30), classes=st.integers(2, 5))
def test_the_classes_take_turns_and_the_surest_begin(seed, count, classes):
    probs = simplex(count, classes, seed)
    labels, sure = probs.argmax(1).tolist(), probs.amax(1).tolist()
    left, expected = sorted(range(count), key=lambda row: -sure[row]), []
    while left:  # a round: the surest that is left of every class
        there = dict.fromkeys(labels[row] for row in left)
        taken = [next(row for row in left if labels[row] == k) for k in there]
        expected += taken
        left = [row for row in left if row not in taken]
    assert in_turns(probs).tolist() == expected


def test_the_price_of_a_point():
    assert price(200, 0.9, 0.5) == 5 and price(10, 0.5, 0.5) == price(10, 0.5, 0.6) == math.inf
