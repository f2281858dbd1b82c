"""Pairs over seeds, the sign test, the bootstrap and McNemar's test."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from queen_ref.arena.significance import compare, compare_lines, interval, mcnemar, sign_test

NUMBERS = st.lists(st.floats(-1, 1, allow_nan=False), min_size=1, max_size=12)


@pytest.mark.parametrize(("seeds", "smallest"), [(3, 0.25), (6, 0.03125), (10, 0.001953125)])
def test_so_many_seeds_can_be_that_significant_and_no_more(seeds, smallest):
    assert sign_test([0.1] * seeds) == pytest.approx(smallest)


@given(NUMBERS)
def test_the_sign_test_is_the_sum_of_the_binomials_tails(values):
    told = sum(v != 0 for v in values)
    fewer = min(sum(v > 0 for v in values), sum(v < 0 for v in values))
    assert sign_test(values) == pytest.approx(min(1, 2 * binom.cdf(fewer, told, 0.5)))


@given(NUMBERS)
def test_the_sign_test_does_not_care_which_method_is_called_the_first(values):
    assert sign_test(values) == sign_test([-v for v in values])


def test_the_interval_holds_the_mean_and_is_as_wide_as_a_normals():
    values = np.random.default_rng(0).normal(0.3, 0.1, 40)
    low, high = interval(values, seed=1)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(40), rel=0.1)


def test_the_interval_is_the_same_for_the_same_seed_and_says_nothing_of_two_numbers():
    values = [0.1, 0.2, 0.4, 0.1]
    assert interval(values, seed=3) == interval(values, seed=3)
    assert all(map(math.isnan, interval([0.1, 0.2])))


def test_mcnemar_counts_what_only_one_of_the_copies_gets_right():
    # 20 images: 9 right by the first alone, 1 by the second alone, the rest by both or none.
    first, second = "ff800", "00040"
    assert mcnemar(first, second) == (9, 1, pytest.approx(2 * binom.cdf(1, 10, 0.5)))
    assert mcnemar(first, first)[2] == 1.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: compare([0.1], [0.1, 0.2]), "as many of both"),
        (lambda: compare([], []), "as many of both"),
        (lambda: mcnemar("f", "ff"), "as many images"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def line(attack, seed, accuracy, **more):
    return {"profile": "cpu", "pool": "mnist", "policy": "random", "attack": attack,
            "defense": "queen", "seed": seed, "substitute_accuracy": accuracy, **more}  # fmt: skip


def test_lines_are_compared_on_the_seeds_that_both_have():
    lines = [line("naive", seed, 0.8) for seed in (0, 1, 2)]
    lines += [line("zero", seed, 0.8 + seed / 10) for seed in (1, 2, 5)]
    found = compare_lines(lines, {"attack": "naive"}, {"attack": "zero"})
    assert found.seeds == (1, 2)
    assert found.differences == pytest.approx((0.1, 0.2)) and found.mean == pytest.approx(0.15)


def test_lines_with_other_settings_are_never_taken_for_one_method():
    lines = [line("naive", 0, 0.8), line("zero", 0, 0.9), line("zero", 0, 0.5, queen={"alpha": 2})]
    with pytest.raises(ValueError, match="one line a seed"):
        compare_lines(lines, {"attack": "naive"}, {"attack": "zero"})
    with pytest.raises(ValueError, match="share"):
        compare_lines(lines[:1], {"attack": "naive"}, {"attack": "zero"})
