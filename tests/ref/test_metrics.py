"""What a substitute is measured by."""

import copy

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


def test_a_layer_that_was_frozen_is_frozen_after_predicting():
    model = qr.models.build("small_cnn", (1, 8, 8), 4).train()
    model.body[0][1].eval()
    before = [part.training for part in model.modules()]
    qr.metrics.accuracy(model, IMAGES, torch.arange(6) % 4)
    assert [part.training for part in model.modules()] == before


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda logits: logits.softmax(1), "model: expected logits .* got probabilities"),
        (lambda logits: logits[:, :1], r"logits \(6, K\) with K >= 2, got \(6, 1\)"),
        (lambda logits: logits[:, 0], r"logits \(6, K\)"),
        (lambda logits: (logits, None), "as one tensor, got tuple"),
        (lambda logits: {"logits": logits}, "as one tensor, got dict"),
        (lambda logits: logits.argmax(1, keepdim=True).expand(-1, 4), "floating-point"),
    ],
)
def test_a_model_that_answers_no_logits_is_refused(answer, message):
    model = qr.models.build("small_cnn", (1, 8, 8), 4).eval()
    with pytest.raises(ValueError, match=message):
        qr.metrics.predict(lambda images: answer(model(images)), IMAGES)


def test_log_probabilities_are_predicted_like_logits():
    model = qr.models.build("small_cnn", (1, 8, 8), 4).eval()
    probs = qr.metrics.predict(lambda x: model(x).log_softmax(1), IMAGES)
    torch.testing.assert_close(probs, qr.metrics.predict(model, IMAGES))


def test_models_of_other_classes_are_not_compared():
    models = [qr.models.build("small_cnn", (1, 8, 8), classes) for classes in (4, 5)]
    with pytest.raises(ValueError, match="substitute: expected the victim's 5 classes, got 4"):
        qr.metrics.fidelity(*models, IMAGES)


def test_images_of_another_precision_than_the_model_are_refused():
    model = qr.models.build("small_cnn", (1, 8, 8), 4)
    with pytest.raises(ValueError, match="images: expected dtype torch.float32"):
        qr.metrics.predict(model, IMAGES.double())


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.uint16])
def test_labels_of_any_integer_are_compared(dtype):
    model = qr.models.build("small_cnn", (1, 8, 8), 4)
    labels = qr.metrics.predict(model, IMAGES).argmax(1)
    assert qr.metrics.accuracy(model, IMAGES, labels.to(dtype)) == 1.0


def test_half_precision_inside_a_model_comes_out_in_single():
    model = qr.models.build("small_cnn", (1, 8, 8), 4).eval()
    whole = qr.metrics.predict(model, IMAGES)
    half = qr.metrics.predict(copy.deepcopy(model).half(), IMAGES.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, whole, rtol=0, atol=1e-2)
