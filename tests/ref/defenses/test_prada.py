"""PRADA: its rule as published, one query after the other, and scipy's Shapiro-Wilk test."""

import numpy as np
import pytest
import torch
from blocks import Blocks, blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from queen_ref.defenses import PRADA
from queen_ref.defenses.prada import DELTA, Memory, coefficients, shapiro_wilk


def published(points, labels, delta):
    """The algorithm of the paper: the alarm after every query."""
    from scipy.stats import shapiro

    sets, joined, limits, distances = {}, {}, {}, []
    for x, c in zip(points, labels, strict=True):
        if c not in sets:
            sets[c], joined[c], limits[c] = [x], [0.0], 0.0
        else:
            nearest = min(np.linalg.norm(x - y) for y in sets[c])
            distances.append(nearest)
            if nearest > limits[c]:
                sets[c].append(x)
                joined[c].append(nearest)
                limits[c] = max(limits[c], np.mean(joined[c]) - np.std(joined[c]))
        if len(distances) > 100:
            d = np.array(distances)
            kept = d[abs(d - d.mean()) <= 3 * d.std()]
            yield bool(shapiro(kept).statistic < delta)
        else:
            yield False


def stream(count, classes, seed):
    """Normal points; with an odd seed some lie far away, so that distances are not normal."""
    random, far = np.random.default_rng(seed), 0.05 * (seed % 2)
    points = random.normal(size=(count, 6)) * np.where(random.random((count, 1)) < far, 4, 1)
    return points, random.integers(classes, size=count)


@given(
    classes=st.integers(1, 5),
    cuts=st.lists(st.integers(1, 90), min_size=2, max_size=5),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=25, deadline=None)
def test_it_is_the_published_rule_however_queries_are_cut_into_batches(classes, cuts, seed):
    points, labels = stream(sum(cuts), classes, seed)
    detector = PRADA(torch.nn.Identity(), delta=0.95)
    found, memory = [], None
    batches = zip(
        torch.from_numpy(points).split(cuts), torch.from_numpy(labels).split(cuts), strict=True
    )
    for batch in batches:
        alarms, memory = detector.watch(memory, *batch)
        found.append(alarms)
    assert torch.cat(found).tolist() == list(published(points, labels, 0.95))


def test_both_answers_occur_in_the_streams_of_the_test_above():
    outcomes = {any(published(*stream(200, 3, seed), 0.95)) for seed in range(10)}
    assert outcomes == {True, False}


@pytest.mark.parametrize("n", [6, 11, 12, 101, 500, 3000])
def test_w_is_scipys(n):
    from scipy.stats import shapiro

    for draw in ("normal", "exponential", "uniform"):
        values = np.sort(getattr(np.random.default_rng(n), draw)(size=n))
        assert shapiro_wilk(values) == pytest.approx(shapiro(values).statistic, abs=1e-6)
    np.testing.assert_allclose(coefficients(n) @ coefficients(n), 1)


def test_equal_distances_raise_no_alarm_and_no_error():
    assert shapiro_wilk(np.full(50, 0.1)) == 1.0


def test_delta_is_the_lowest_w_of_honest_accounts_and_flags_few_of_their_kind():
    images = torch.rand(400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    detector = PRADA(Blocks(), images, seed=1)
    assert 0.8 < detector.delta < 1
    assert detector.flagged_streams(images, count=50, length=500, seed=1) == 0  # those that set it
    assert PRADA(Blocks(), images[:40]).delta == DELTA  # too few to set one
    with pytest.raises(ValueError, match="delta: expected a number, or images"):
        PRADA(Blocks())
    with pytest.raises(ValueError, match="delta"):
        PRADA(Blocks(), delta=1.5)


def test_a_thief_who_makes_images_of_images_is_caught():
    images, _ = blocks(400)
    detector = PRADA(Blocks(), images)
    random = torch.Generator().manual_seed(0)
    step = 0.02 * torch.randn(400, 1, 8, 8, generator=random).sign()
    made = torch.cat([images[:100], (images[:100].repeat(3, 1, 1, 1) + step[:300]).clamp(0, 1)])
    detector(made, client="thief")
    detector(images[torch.randperm(400, generator=random)], client="user")
    assert 100 < detector.report("thief")["fired"] < 400
    assert "fired" not in detector.report("user")


def test_the_memory_holds_the_growing_sets_and_is_never_changed():
    points, labels = map(torch.from_numpy, stream(60, 2, seed=0))
    detector, blank = PRADA(torch.nn.Identity(), delta=0.9), Memory()
    _, first = detector.watch(blank, points[:30], labels[:30])
    held = len(first.distances), {c: len(s.points) for c, s in first.sets.items()}
    detector.watch(first, points[30:], labels[30:])
    assert (len(first.distances), {c: len(s.points) for c, s in first.sets.items()}) == held
    assert not blank.sets and held[0] == 28
