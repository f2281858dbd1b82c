"""What a substitute is measured by."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import queen_ref as qr

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_model_is_faithful_to_itself_and_accurate_on_its_own_labels():
    model = qr.models.build("small_cnn", (1, 8, 8), 4)
    labels = qr.metrics.predict(model, IMAGES).argmax(1)
    assert qr.metrics.fidelity(model, model, IMAGES) == 1.0
    assert qr.metrics.accuracy(model, IMAGES, labels) == 1.0
    assert qr.metrics.protected_accuracy(qr.NoDefense(model), IMAGES, labels) == 1.0
    assert qr.metrics.accuracy(model, IMAGES, (labels + 1) % 4) == 0.0


@given(seed=st.integers(0, 1000), classes=st.integers(2, 30))
def test_l1_is_a_distance_between_0_and_2(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    y, other = torch.rand(2, 5, classes, generator=generator).softmax(-1)
    assert 0 <= qr.metrics.l1_distance(y, other) <= 2
    assert qr.metrics.l1_distance(y, other) == pytest.approx(qr.metrics.l1_distance(other, y))
    assert qr.metrics.l1_distance(y, y) == 0


def test_predicting_leaves_the_model_in_the_mode_it_was_in():
    model = qr.models.build("small_cnn", (1, 8, 8), 4).train()
    qr.metrics.predict(model, IMAGES)
    assert model.training
