"""D-ADD: the Frechet distance of numpy's matrices, window by window."""

import numpy as np
import pytest
import torch
from blocks import Blocks, blocks

from queen_ref.defenses import DADD


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def frechet(mean, covariance, other_mean, other_covariance):
    """|| m - m' ||^2 + Tr S + Tr S' - 2 Tr (S^1/2 S' S^1/2)^1/2."""
    half = root(covariance)
    cross = np.trace(root(half @ other_covariance @ half))
    away = mean - other_mean
    return away @ away + np.trace(covariance) + np.trace(other_covariance) - 2 * cross


def score(features, labels, train, train_labels):
    """The mean over the classes of a window, by how many queries each has."""
    total = 0.0
    for c in np.unique(labels):
        own, known = features[labels == c], train[train_labels == c]
        here = own.mean(0), np.cov(own.T, bias=True)
        there = known.mean(0), np.cov(known.T, bias=True)
        total += len(own) * frechet(*there, *here)
    return total / len(labels)


@pytest.mark.parametrize("window", [2, 7, 16])
def test_a_score_is_the_mean_frechet_distance_of_its_window(window):
    images, labels = blocks(80)
    detector = DADD(Blocks(), images, labels, window=window)
    random = torch.Generator().manual_seed(window)
    asked = torch.rand(40, 1, 8, 8, generator=random)
    classes = torch.randint(4, (40,), generator=random)
    points = detector.describe(asked)
    known = detector.describe(images).numpy()
    expected = [
        score(
            points[i : i + window].numpy(), classes[i : i + window].numpy(), known, labels.numpy()
        )
        for i in range(40 - window + 1)
    ]
    np.testing.assert_allclose(detector.scores(points, classes).numpy(), expected, atol=1e-9)


def test_the_training_sets_own_score_is_zero():
    images, labels = blocks(80)
    detector = DADD(Blocks(), images, labels, window=80)
    assert float(detector.scores(detector.describe(images), labels)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("cuts", [[1] * 60, [7] * 8 + [4], [20, 40], [60]])
def test_alarms_do_not_depend_on_how_queries_are_cut_into_batches(cuts):
    images, labels = blocks(80)
    detector = DADD(Blocks(), images, labels, window=9)
    asked = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    asked[:25] = images[:25]
    points, classes = detector.describe(asked), Blocks()(asked).argmax(1)
    whole = detector.watch(None, points, classes)[0]
    found, memory = [], None
    for batch in zip(points.split(cuts), classes.split(cuts), strict=True):
        alarms, memory = detector.watch(memory, *batch)
        found.append(alarms)
    assert torch.equal(torch.cat(found), whole)
    assert not bool(whole[:8].any()) and bool(whole.any()) and not bool(whole.all())


def test_strange_images_get_random_answers_until_the_window_is_honest_again():
    images, labels = blocks(200)
    detector = DADD(Blocks(), images, labels, window=16)
    odd = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    answers = detector(torch.cat([odd, images[:100]]), client="a")
    assert detector.report("a")["fired"] == 16
    assert torch.equal(answers[:15], Blocks()(odd[:15]).softmax(1))
    assert not torch.equal(answers[15:40].argmax(1), Blocks()(odd[15:]).argmax(1))
    assert torch.equal(answers[56:], Blocks()(images[16:100]).softmax(1))
    assert torch.equal(detector(images[:40], client="b"), Blocks()(images[:40]).softmax(1))


def test_the_threshold_is_the_highest_score_of_honest_accounts():
    images, labels = blocks(200)
    detector = DADD(Blocks(), images, labels, seed=2)
    assert detector.window == 16 and 0 < detector.threshold < float("inf")
    assert detector.flagged_streams(images, count=50, length=500, seed=2) == 0  # those that set it
    assert DADD(Blocks(), images[:8], labels[:8]).threshold == float("inf")  # not one window
    assert DADD(Blocks(), images, labels, threshold=3.0).threshold == 3.0


def test_a_class_that_is_not_there_is_refused():
    images, labels = blocks(80)
    detector = DADD(Blocks(), images, labels)
    with pytest.raises(ValueError, match="probs: expected 4 classes"):
        detector.simulate(images[:2], torch.eye(6)[4:])
    for bad in ({"window": 1}, {"threshold": -1.0}, {"after": "never"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            DADD(Blocks(), images, labels, **bad)
