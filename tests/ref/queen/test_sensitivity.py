"""The ledger against the loop of the specification, and the laws it must keep."""

import math

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from plane import CENTERS, RADII, queries

import queen_ref as qr


def naive(points, labels, centers, radii, spacing, threshold, alpha, beta, units):
    """The sequential algorithm, one query at a time, in plain Python.

    Last comes how near to a tie it came: below that, relative rounding would decide.
    """
    recorded = [[] for _ in radii]
    cqs = [0.0] * len(radii)
    verdicts, ties = [], [math.inf]
    for (x, y), k in zip(points.tolist(), labels.tolist(), strict=True):
        s = beta * float(radii[k])
        r = spacing * s if units == "relative" else spacing
        d = math.hypot(x - float(centers[k][0]), y - float(centers[k][1]))
        inside = d < s
        gaps = [math.hypot(x - a, y - b) for a, b in recorded[k]] if inside else []
        novel = inside and min(gaps, default=math.inf) > r
        reverse = novel and cqs[k] > threshold
        ties += [abs(d - s) / s, *(abs(gap - r) / r for gap in gaps)]
        ties += [abs(cqs[k] - threshold) / cqs[k]] if cqs[k] else []
        if novel and not reverse:
            recorded[k].append((x, y))
            cqs[k] += (0.5 * math.erfc(alpha * (d - s) / s)) ** 2 * (r / s) ** 2
        verdicts.append((inside, novel, reverse))
    return verdicts, cqs, [len(points) for points in recorded], min(ties)


def in_batches(ledger, points, labels, sizes):
    parts, start = [], 0
    for size in sizes:
        if start < len(points):
            verdict = ledger.observe(points[start : start + size], labels[start : start + size])
            parts.append(torch.stack([verdict.inside, verdict.novel, verdict.reverse], 1))
            start += size
    return torch.cat(parts)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=12),
    spacing=st.sampled_from([0.02, 0.1, 0.3, 0.9]),
    threshold=st.sampled_from([0.0, 0.01, 0.05, 0.2]),
    alpha=st.sampled_from([0.3, 1.0, 4.0]),
    beta=st.sampled_from([0.5, 1.0, 2.0]),
    units=st.sampled_from(["relative", "absolute"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_any_batching_gives_the_verdicts_of_the_sequential_loop(
    seed, sizes, spacing, threshold, alpha, beta, units, dtype
):
    points, labels = queries(sum(sizes), seed)
    points = points.to(dtype)
    config = dict(spacing=spacing, threshold=threshold, alpha=alpha, beta=beta, units=units)
    expected, cqs, recorded, tie = naive(points, labels, CENTERS, RADII, **config)
    assume(tie > 1e-5)
    ledger = qr.SensitivityLedger(CENTERS, RADII, **config)
    assert in_batches(ledger, points, labels, sizes).tolist() == [list(v) for v in expected]
    torch.testing.assert_close(ledger.cqs.tolist(), cqs, rtol=1e-5, atol=1e-9)
    assert ledger.recorded.tolist() == recorded


def test_ten_thousand_queries_agree_with_the_loop_across_the_threshold():
    points, labels = queries(10_000, seed=1, spread=0.7)
    config = dict(spacing=0.05, threshold=0.2, alpha=1.0, beta=1.0, units="relative")
    expected, _, recorded, _ = naive(points, labels, CENTERS, RADII, **config)
    ledger = qr.SensitivityLedger(CENTERS, RADII, **config)
    assert in_batches(ledger, points, labels, [4096] * 3).tolist() == [list(v) for v in expected]
    assert ledger.recorded.tolist() == recorded
    assert any(reverse for _, _, reverse in expected)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    spacing=st.floats(0.02, 1.5),
    threshold=st.floats(0, 0.5),
    alpha=st.floats(0.1, 5),
)
def test_a_class_never_records_more_points_than_its_capacity(seed, spacing, threshold, alpha):
    ledger = qr.SensitivityLedger(CENTERS, RADII, spacing, threshold, alpha)
    for part in range(4):
        ledger.observe(*queries(1000, seed + part, spread=0.6))
    bound = 1 + threshold * 4 / spacing**2
    assert bool((ledger.recorded <= ledger.capacity).all())
    torch.testing.assert_close(ledger.capacity, torch.full_like(ledger.capacity, bound))


def test_nothing_is_recorded_above_the_threshold():
    ledger = qr.SensitivityLedger(CENTERS, RADII, threshold=0.05)
    ledger.observe(*queries(5000, seed=0, spread=0.6))
    assert bool((ledger.cqs > 0.05).all())
    before = ledger.recorded.clone()
    verdict = ledger.observe(*queries(500, seed=9, spread=0.6))
    assert torch.equal(ledger.recorded, before)
    assert not bool(verdict.recorded.any()) and bool(verdict.reverse.any())


def test_a_repeated_point_is_novel_once():
    ledger = qr.SensitivityLedger(CENTERS, RADII)
    point, label = torch.tensor([[0.2, 0.1]]), torch.tensor([0])
    assert ledger.observe(point, label).novel.tolist() == [True]
    assert ledger.observe(point, label).novel.tolist() == [False]


def test_recorded_points_are_farther_apart_than_the_spacing():
    ledger = qr.SensitivityLedger(CENTERS, RADII, spacing=0.2, threshold=1.0)
    ledger.observe(*queries(2000, seed=2, spread=0.6))
    points, labels = ledger.points
    for k, radius in enumerate(RADII):
        assert torch.pdist(points[labels == k]).min() > 0.2 * radius


def test_a_class_without_extent_has_an_empty_region():
    ledger = qr.SensitivityLedger(CENTERS, torch.tensor([1.0, 0.0, 1.0]))
    verdict = ledger.observe(CENTERS.clone(), torch.tensor([0, 1, 2]))
    assert verdict.inside.tolist() == [True, False, True]


@given(alpha=st.floats(0.05, 10), share=st.floats(0, 10), radius=st.floats(1e-3, 1e3))
@example(alpha=1.0, share=1.0, radius=32.315473935893806)  # no float32
def test_sensitivity_is_one_half_on_the_rim_and_falls_with_distance(alpha, share, radius):
    sqs = qr.single_query_sensitivity
    near = torch.tensor(share * radius, dtype=torch.float64)
    assert float(sqs(near * 1.1, radius, alpha)) <= float(sqs(near, radius, alpha))
    # Next to the rim erfc is 1 to the last digit.
    if share == 1 or abs(share - 1) > 1e-9:
        assert (float(sqs(near, radius, alpha)) > 0.5) == (float(near) < radius)
    assert float(sqs(torch.tensor(radius), radius, alpha)) == pytest.approx(0.5)


def test_sensitivity_in_the_center_is_at_most_0_921_at_alpha_one():
    assert float(qr.single_query_sensitivity(0.0, 1.0)) == pytest.approx(0.92135, abs=1e-5)


GOOD = (torch.zeros(2, 2), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (torch.tensor([[0.0, float("nan")]] * 2), GOOD[1], "finite"),
        (torch.tensor([[0.0, float("inf")]] * 2), GOOD[1], "finite"),
        (torch.zeros(2, 3), GOOD[1], "shape"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), "shape"),
        (torch.zeros(2, 2, dtype=torch.long), GOOD[1], "floating-point"),
        (GOOD[0], torch.tensor([0, 3]), r"\[0, 3\)"),
        (GOOD[0], torch.tensor([-1, 0]), r"\[0, 3\)"),
        (GOOD[0], torch.tensor([0.0, 1.0]), "integers"),
        (GOOD[0], torch.tensor([0]), "shape"),
        (torch.zeros(2, 2, device="meta"), GOOD[1], "expected a tensor on cpu"),
    ],
)
def test_bad_queries_are_refused_and_record_nothing(points, labels, message):
    ledger = qr.SensitivityLedger(CENTERS, RADII)
    with pytest.raises(ValueError, match=message):
        ledger.observe(points, labels)
    assert int(ledger.recorded.sum()) == 0 and float(ledger.cqs.sum()) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"spacing": 0.0},
        {"spacing": 1e-12},
        {"threshold": -1.0},
        {"alpha": 0.0},
        {"beta": float("nan")},
        {"units": "metres"},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}: expected"):
        qr.SensitivityLedger(CENTERS, RADII, **settings)


def test_the_core_without_checks_gives_the_same_verdicts():
    points, labels = queries(700, seed=1)
    checked, unchecked = (qr.SensitivityLedger(CENTERS, RADII, threshold=0.05) for _ in range(2))
    one, other = checked.observe(points, labels), unchecked.judge(points, labels)
    for name in ("inside", "novel", "reverse"):
        assert torch.equal(getattr(one, name), getattr(other, name)) and getattr(one, name).any()
    assert torch.equal(checked.cqs, unchecked.cqs)
