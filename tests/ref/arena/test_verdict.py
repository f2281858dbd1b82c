"""The best thief of each kind, and what honest clients pay, as differences to no defence."""

import pytest

from queen_ref.arena.verdict import KINDS, differences, kind_of, verdicts
from queen_ref.attacks import ATTACKS

FREE = (0.90, 0.94, 0.92)  # the naive thief without a defence, by seed


def cell(attack, defense, stolen, kept=0.95, policy="random", **more):
    return [
        {"profile": "cpu", "pool": "mnist", "attack": attack, "policy": policy, "defense": defense,
         "seed": seed, "substitute_accuracy": value, "honest": {"100": kept}, **more}
        for seed, value in enumerate(stolen)
    ]  # fmt: skip


def of(lines, defense, **more):
    (found,) = [one for one in verdicts(lines, **more) if one.defense == defense]
    return found


NONE = cell("naive", "none", FREE, kept=0.97)


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_is_of_one_kind(attack):
    assert kind_of(attack) in KINDS
    assert (kind_of(attack) == "knows") == ATTACKS[attack].adaptive


def test_differences_are_taken_within_a_seed():
    one = of([*NONE, *cell("naive", "queen", [0.80, 0.84, 0.82])], "queen")
    assert one.best.values == one.naive.values == pytest.approx([-0.1] * 3)
    assert one.honest["100"].mean == pytest.approx(-0.02)


def test_seeds_that_no_defence_lacks_do_not_count():
    one = of([*NONE, *cell("naive", "queen", [0.80, 0.84, 0.82, 0.1])], "queen")
    assert one.best.seeds == (0, 1, 2)


def test_the_best_thief_of_a_kind_is_kept_and_the_best_of_all_is_the_headline():
    lines = [*NONE, *cell("naive", "queen", [0.7] * 3), *cell("s4l", "queen", [0.8] * 3),
             *cell("zero", "queen", [0.91] * 3), *cell("ddae", "queen", [0.85] * 3)]  # fmt: skip
    one = of(lines, "queen")
    assert {kind: thief.attack for kind, thief in one.thieves.items()} == {
        "ordinary": "s4l", "looks": "zero", "knows": "ddae"
    }  # fmt: skip
    assert one.best.attack == "zero"
    assert of(lines, "queen", attacks=["naive", "ddae"]).best.attack == "ddae"


def test_a_defence_that_keeps_the_label_leaves_its_thief_the_labels():
    lines = [*NONE, *cell("naive", "top1", FREE), *cell("naive", "modelguard-w", [0.5] * 3),
             *cell("naive", "queen-strict", [0.5] * 3)]  # fmt: skip
    assert of(lines, "modelguard-w").best.attack == "top1"
    assert of(lines, "modelguard-w").best.mean == pytest.approx(0)
    assert of(lines, "queen-strict").best.attack == "naive"


def test_crafted_queries_stand_under_their_own_name():
    crafted = cell("naive", "queen", [0.93, 0.95, 0.95], policy="jbda-tr")
    one = of([*NONE, *cell("naive", "queen", [0.8] * 3), *crafted], "queen")
    assert one.best.attack == "naive x jbda-tr" and one.thieves.keys() == {"ordinary"}


def test_a_setting_is_a_defence_of_its_own():
    lines = [*NONE, *cell("naive", "mad", [0.8] * 3)]
    lines += cell("naive", "mad", [0.7] * 3, setting=[["epsilon", 0.5]])
    assert {one.defense for one in verdicts(lines)} == {"none", "mad", "mad epsilon=0.5"}


def test_the_order_is_by_the_best_thief_and_none_comes_last():
    lines = [*NONE, *cell("naive", "queen", [0.95] * 3), *cell("naive", "queen-strict", [0.7] * 3)]
    assert [one.defense for one in verdicts(lines)] == ["queen-strict", "queen", "none"]


def test_thieves_of_few_seeds_do_not_count():
    lines = [*NONE, *cell("naive", "queen", [0.8] * 3), *cell("zero", "queen", [0.99])]
    assert of(lines, "queen").best.attack == "naive"
    assert of(lines, "queen", least=1).best.attack == "zero"


@pytest.mark.parametrize(
    ("lines", "said"),
    [(cell("naive", "queen", FREE), "against none"), ([*NONE, *NONE], "one line a seed")],
)
def test_what_cannot_be_compared_is_said(lines, said):
    with pytest.raises(ValueError, match=said):
        verdicts(lines)


def test_every_thief_has_his_difference_by_defence():
    found = differences([*NONE, *cell("zero", "queen", [0.88, 0.92, 0.90])])
    assert found["none"]["naive"].values == (0, 0, 0)
    assert found["queen"]["zero"].mean == pytest.approx(-0.02)
