"""Reports: seeds put together, and which defences no other beats."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import CELL, line

from queen_ref.arena import pareto_front, summarise, to_csv
from queen_ref.arena.report import with_labels, worst_attacks
from queen_ref.arena.tables import to_markdown


def test_seeds_become_a_mean_and_a_spread():
    rows = summarise(
        [
            line(replace(CELL, seed=seed), substitute_accuracy=value, flags=["odd"] * (seed == 0))
            for seed, value in enumerate((0.7, 0.8, 0.9))
        ]
    )
    (row,) = rows
    assert row["seeds"] == 3 and row["flags"] == {"odd": 1}
    assert row["substitute_accuracy"] == pytest.approx(0.8)
    assert row["substitute_accuracy_sd"] == pytest.approx(0.1)
    assert (row["substitute_accuracy_min"], row["substitute_accuracy_max"]) == (0.7, 0.9)
    assert to_csv(rows).splitlines()[1].startswith("smoke,mnist,random,naive,none,3,0.8")


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_front_holds_exactly_the_points_nobody_beats(points):
    front = pareto_front(points)
    assert front
    for index, (kind, stolen) in enumerate(points):
        beaten = any((x > kind and y <= stolen) or (x >= kind and y < stolen) for x, y in points)
        assert (index in front) == (not beaten)
    assert [points[index][0] for index in front] == sorted(points[index][0] for index in front)


def test_the_worst_attack_of_a_defence_is_the_one_that_steals_most():
    stolen = {
        ("naive", "none"): 0.9,
        ("s4l", "none"): 0.7,
        ("naive", "am"): 0.2,
        ("s4l", "am"): 0.4,
    }
    rows = summarise(
        [
            line(replace(CELL, attack=attack, defense=defense), substitute_accuracy=value)
            for (attack, defense), value in stolen.items()
        ]
    )
    worst = {(row["defense"], row["attack"]) for row in worst_attacks(rows)}
    assert worst == {("none", "naive"), ("am", "s4l")}


def test_a_defence_that_keeps_the_label_has_the_row_of_its_labels():
    stolen = {
        ("naive", "none"): 0.95,
        ("naive", "top1"): 0.9,
        ("naive", "mad"): 0.5,
        ("naive", "queen"): 0.7,
        ("top1", "queen"): 0.6,
        ("naive", "am"): 0.3,
    }
    rows = summarise(
        [
            line(
                replace(CELL, attack=attack, defense=defense),
                substitute_accuracy=value,
                protected_accuracy=value / 2,
            )
            for (attack, defense), value in stolen.items()
        ]
    )
    whole = with_labels(rows)
    cells = {(row["attack"], row["defense"]): row for row in whole}
    filled = {pair for pair, row in cells.items() if "from" in row}
    assert filled == {("top1", "none"), ("top1", "top1"), ("top1", "mad")}
    # What is stolen is the labels', what it costs is the defence's own.
    mine = cells["top1", "mad"]
    assert mine["substitute_accuracy"] == 0.9 and mine["protected_accuracy"] == 0.25
    # The best thief against MAD reads the label: the front was an artefact without him.
    assert {row["defense"]: row["attack"] for row in worst_attacks(whole)}["mad"] == "top1"
    assert cells["top1", "queen"]["substitute_accuracy"] == 0.6
    text = to_markdown(whole)
    assert "0.900*" in text and "naive x top1" in text and "*" not in to_markdown(rows)
    assert with_labels([row for row in rows if row["defense"] != "top1"]) == [
        row for row in rows if row["defense"] != "top1"
    ]


def test_nothing_is_no_table():
    with pytest.raises(ValueError, match="at least one line"):
        summarise([])
