"""The clock: what a cell will take, judged by those that were measured."""

from dataclasses import replace

import pytest
from engine import TWELVE
from results import CELL, line

from queen_ref.arena.clock import Clock


def test_an_estimate_is_the_slowest_of_its_kind_and_the_parts_of_a_new_seed():
    clock = Clock()
    assert clock.estimate(CELL) is None
    for cell, total, parts in ((CELL, 9.0, 4.0), (replace(CELL, defense="am"), 13.0, 6.0)):
        clock.learn(line(cell, total, parts))
    assert clock.estimate(CELL) == 7.0
    assert clock.estimate(replace(CELL, seed=1)) == 7.0 + 10.0
    assert clock.estimate(replace(CELL, attack="bayes")) == 7.0


def test_this_run_tells_more_than_an_earlier_one():
    clock = Clock([line(CELL, 100.0), line(replace(CELL, attack="bayes"), 50.0)])
    clock.learn(line(CELL, 4.0))
    assert clock.estimate(CELL) == 4.0
    assert clock.estimate(replace(CELL, attack="bayes")) == 50.0


def test_another_profile_tells_nothing():
    clock = Clock([line(CELL, 4.0)])
    assert clock.estimate(replace(CELL, profile="cpu")) is None


def test_a_total_is_of_typical_cells_side_by_side():
    clock = Clock()
    assert clock.total(TWELVE, 1) is None and clock.total([], 1) == 0.0
    for total in (2.0, 4.0):
        clock.learn(line(CELL, total))
    assert clock.total(TWELVE, 1) == pytest.approx(36.0)
    assert clock.total(TWELVE, 4) == pytest.approx(9.0)
