"""Budget and threshold of chapter 5: the widget, its picture, and the figure without a kernel."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from queen_book.explorers import budget as budget_explorer
from queen_book.figures.fates import FATES
from queen_book.figures.thresholds import plot_threshold_film
from queen_ref import SensitivityLedger
from queen_ref.queen.features import Clusters

THRESHOLDS, BUDGETS, MOST = (0.02, 0.2), (50, 200, 600), 600
RUNS = [
    dict(threshold=t, budget=b, accuracy=0.5 + t + b / 2000 + seed / 100)
    for t in THRESHOLDS
    for b in BUDGETS
    for seed in range(2)
]
USERS = [
    dict(threshold=t, questions=q, accuracy=0.9 if q == 10 else 0.7)
    for t in THRESHOLDS
    for q in (10, 100)
]


@pytest.fixture(scope="module")
def client():
    random = torch.Generator().manual_seed(0)
    clusters = Clusters(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0.3, 0.3]))
    labels = torch.randint(2, (MOST,), generator=random)
    points = clusters.centers[labels] + 0.3 * torch.randn(MOST, 2, generator=random)
    return points, labels, clusters


def numbers(line: str) -> list[int]:
    names = "|".join(map(re.escape, FATES))
    return [int(n) for n in re.findall(rf"(\d+) (?:{names})", line)]


@given(budget=st.integers(1, MOST), threshold=st.sampled_from(THRESHOLDS))
def test_the_counts_are_those_of_a_fresh_ledger(client, budget, threshold):
    points, labels, clusters = client
    svg, line = budget_explorer.svg(RUNS, *client, threshold, budget)
    ledger = SensitivityLedger(clusters.centers, clusters.radii, threshold=threshold)
    verdict = ledger.observe(points[:budget], labels[:budget])
    outside, not_novel, recorded, turned = numbers(line)
    assert outside + not_novel + recorded + turned == budget
    assert recorded == int(verdict.recorded.sum()) and turned == int(verdict.reverse.sum())
    ET.fromstring(svg)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_at_a_measured_budget_it_shows_the_mean_over_the_seeds(client, threshold):
    _, line = budget_explorer.svg(RUNS, *client, threshold, 200)
    assert f"Substitute: {0.5 + threshold + 0.1 + 0.005:.3f} (measured)" in line


def test_between_budgets_it_says_so(client):
    assert "(between the measured budgets)" in budget_explorer.svg(RUNS, *client, 0.2, 100)[1]
    assert "smallest measured budget, 50" in budget_explorer.svg(RUNS, *client, 0.2, 7)[1]


@pytest.mark.parametrize(
    "threshold, budget, wrong", [(0.3, 10, "threshold"), (0.2, 0, "budget"), (0.2, 601, "budget")]
)
def test_what_was_not_measured_is_refused(client, threshold, budget, wrong):
    with pytest.raises(ValueError, match=f"{wrong}: expected"):
        budget_explorer.svg(RUNS, *client, threshold, budget)


def test_a_slider_redraws(client):
    box = budget_explorer.budget_explorer(RUNS, *client)
    (threshold, budget), status = box.children[0].children, box.children[1]
    assert "first 600 queries" in status.value
    budget.value = 100
    before = status.value
    threshold.value = 0.02
    assert "first 100 queries" in before and status.value != before


def test_the_film_has_a_frame_for_each_threshold_from_the_highest_on():
    fig = plot_threshold_film(RUNS, USERS, [run for run in RUNS if run["threshold"] == 0.2])
    assert [frame.name for frame in fig.frames] == ["0.2", "0.02"]
    assert fig.layout.sliders[0].active == 1 and list(fig.data[0].y) == list(
        fig.frames[1].data[0].y
    )
    thief, user = fig.frames[1].data
    assert np.allclose(thief.y, [0.55, 0.625, 0.825]) and list(thief.x) == list(BUDGETS)
    assert list(user.x) == [10, 100] and np.allclose(user.y, [0.9, 0.7])


def test_a_threshold_without_honest_users_is_refused():
    with pytest.raises(ValueError, match="each with honest users"):
        plot_threshold_film(RUNS, USERS[:2], RUNS)
