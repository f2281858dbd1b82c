"""Fitting: what it needs, and that it comes from its seed."""

import pytest
import torch

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
