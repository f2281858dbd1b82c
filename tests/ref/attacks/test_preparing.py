"""What makes no sense is said before the first query."""

from dataclasses import replace

import pytest
import torch
from thief import BUDGET, POOL, TINY, Blur, everything, victim_of

import queen_ref as qr
from queen_ref.attacks import Attack, steal
from queen_ref.attacks.preparing import check_answerable

FULL = everything(victim_of(3))
OBLONG = torch.rand(60, 1, 8, 10)
REFUSED = {
    "smoothing grows no images": dict(attack="smoothing", policy="jbda-tr"),
    "nor does s4l": dict(attack="s4l", policy="jbda-tr"),
    "rim chooses itself": dict(attack="rim", policy="random"),
    "turned oblongs, too": dict(attack="few-queries", policy="few-queries", pool=OBLONG),
    "no such attack": dict(attack="ddos"),
    "no such policy": dict(policy="greedy"),
    "ddae without labels": dict(attack="ddae", knowledge=replace(FULL, pool_labels=None)),
    "ddae without defence": dict(attack="ddae", knowledge=replace(FULL, defense=None)),
    "labels of another pool": dict(
        attack="ddae", knowledge=replace(FULL, pool_labels=torch.zeros(3).long())
    ),
    "ddae+ without clean": dict(attack="ddae+", knowledge=replace(FULL, clean=None)),
    "bayes without clean": dict(attack="bayes", knowledge=replace(FULL, clean=None)),
    "bayes without defence": dict(attack="bayes", knowledge=replace(FULL, defense=None)),
    "bayes knows nothing": dict(attack="bayes", knowledge=None),
    "rotated oblongs": dict(attack="s4l", pool=OBLONG),
    "a pool too small": dict(budget=61),
    "no budget": dict(budget=0),
    "too few seeds": dict(policy="jbda-tr", budget=80, sizes=replace(TINY, jbda_seeds=61)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_an_unsuitable_attack_is_refused_before_any_query(case):
    def never(images):
        raise AssertionError("a query was sent")

    settings = dict(pool=POOL, budget=BUDGET, knowledge=FULL, sizes=TINY) | case
    with pytest.raises(ValueError):
        steal(never, **settings)


def test_an_api_is_asked_for_all_queries_of_the_attack_before_the_first():
    api = qr.BlackBox(Blur(victim_of(3)), budget=2 * BUDGET)
    check_answerable(api, POOL, 2 * BUDGET, Attack(), FULL)
    with pytest.raises(qr.BudgetExceeded, match=f"{3 * BUDGET} queries needed"):
        check_answerable(api, POOL, BUDGET, Attack("smoothing"), FULL)
    assert api.queries == 0
