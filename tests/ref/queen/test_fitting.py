"""Fitting: what it needs, and that it comes from its seed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import queen_ref as qr

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=15)


def test_a_class_without_a_sample_is_refused(setting):
    victim, images, labels, _ = setting
    keep = labels != 2
    with pytest.raises(ValueError, match=r"found none of \[2\]"):
        qr.Queen.fit(victim, images[keep], labels[keep], EAGER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y + 2), r"\[0, 4\)"),
        (lambda x, y: (x, y[:-1]), "labels: expected shape"),
        (lambda x, y: (x[:0], y[:0]), "at least one image"),
        (lambda x, y: (x * float("nan"), y), "finite"),
        (lambda x, y: (x, y.float()), "integers"),
        (lambda x, y: (x.double(), y), "dtype torch.float32"),
    ],
)
def test_fit_refuses_bad_training_data(setting, change, message):
    victim, images, labels, _ = setting
    with pytest.raises(ValueError, match=message):
        qr.Queen.fit(victim, *change(images, labels), EAGER)


def test_something_that_is_no_victim_is_refused(setting):
    with pytest.raises(ValueError, match="victim: expected a method .features"):
        qr.Queen.fit(lambda x: x, *setting[1:3], EAGER)


def test_fit_is_reproducible_and_leaves_the_global_generator_alone(setting):
    victim, images, labels, queen = setting
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    again = qr.Queen.fit(victim, images, labels, EAGER, seed=0)
    assert torch.equal(torch.rand(3), expected)
    torch.testing.assert_close(again.clusters.centers, queen.clusters.centers)
    for one, other in zip(again.shadows.parameters(), queen.shadows.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def tiny(**changes):
    return qr.QueenConfig(map_epochs=1, shadows=1, shadows_per_query=1, shadow_epochs=1, **changes)


def test_fitting_puts_every_flag_back(setting):
    victim = copy.deepcopy(setting[0]).train()
    victim.body[0][1].eval()
    before = [part.training for part in victim.modules()]
    queen = qr.Queen.fit(victim, *setting[1:3], tiny())
    assert [part.training for part in victim.modules()] == before
    still = qr.Queen.fit(copy.deepcopy(setting[0]).eval(), *setting[1:3], tiny())
    assert torch.equal(queen(setting[1]), still(setting[1]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_any_integer_fit_alike(setting, dtype):
    victim, images, labels, _ = setting
    one, other = (qr.Queen.fit(victim, images, y, tiny()) for y in (labels, labels.to(dtype)))
    assert torch.equal(one.clusters.radii, other.clusters.radii)


def test_a_seed_of_numpy_can_be_saved(setting, tmp_path):
    config = tiny(stats_size=np.int64(100))
    queen = qr.Queen.fit(*setting[:3], config, seed=np.int64(3))
    queen.save(tmp_path / "queen.pt")
    assert qr.Queen.load(setting[0], tmp_path / "queen.pt").seed == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_are_refused_with_one_line(setting, dtype):
    victim = copy.deepcopy(setting[0]).to(dtype)
    with pytest.raises(ValueError, match="victim: expected float32 or float64, got"):
        qr.Queen.fit(victim, setting[1].to(dtype), setting[2], tiny())


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (nn.Softmax(1), "got probabilities"),
        (nn.Linear(4, 1), "K >= 2"),
        (nn.Unflatten(1, (2, 2)), r"logits \(B, K\)"),
    ],
)
def test_a_head_is_tried_before_anything_is_trained(setting, last, message, monkeypatch):
    victim = copy.deepcopy(setting[0])
    victim.head = nn.Sequential(victim.head, last)
    monkeypatch.setattr("queen_ref.queen.fitting.extract_features", pytest.fail)
    with pytest.raises(ValueError, match=message):
        qr.Queen.fit(victim, *setting[1:3], tiny())


def test_log_probabilities_get_the_same_answers(setting):
    victim = copy.deepcopy(setting[0])
    victim.head = nn.Sequential(victim.head, nn.LogSoftmax(1))
    logs, logits = (qr.Queen.fit(v, *setting[1:3], tiny()) for v in (victim, setting[0]))
    # The step of the walk where the label changes is decided by a rounding, seldom.
    near = (logs(setting[1]) - logits(setting[1])).abs().amax(1) < 1e-4
    assert near.float().mean() > 0.9
    for one, other in zip(logs.clusters.centers, logits.clusters.centers, strict=True):
        torch.testing.assert_close(one, other)
