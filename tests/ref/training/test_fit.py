"""The one training loop: its targets, its precision, its batches."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import queen_ref as qr
from queen_ref.training import Recipe, batches

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
ONE = Recipe(epochs=1)


def test_soft_one_hot_targets_train_like_hard_labels():
    labels, recipe = torch.arange(6) % 3, Recipe(epochs=2, batch_size=3)
    models = [qr.models.build("small_cnn", (1, 8, 8), 3) for _ in range(2)]
    hard = qr.training.fit(models[0], IMAGES, labels, recipe)
    soft = qr.training.fit(models[1], IMAGES, torch.eye(3)[labels], recipe)
    assert soft == pytest.approx(hard, rel=1e-4)  # two formulas, rounded in float32


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_half_precision_is_that_of_the_forward_pass_and_not_of_weights_and_loss(precision):
    model, seen = qr.models.build("small_cnn", (1, 8, 8), 3), []
    model.head.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))

    def loss(logits, labels):
        seen.append(logits.dtype)
        return torch.nn.functional.cross_entropy(logits, labels)

    labels = torch.arange(6) % 3
    qr.training.fit(model, IMAGES, labels, ONE, precision=precision, loss=loss)
    assert seen == [getattr(torch, precision), torch.float32]
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_a_step_in_half_precision_begins_with_nearly_the_same_loss():
    labels, losses = torch.arange(6) % 3, []
    for precision in ("float32", "bfloat16"):
        model = qr.models.build("small_cnn", (1, 8, 8), 3)
        losses += qr.training.fit(model, IMAGES, labels, ONE, precision=precision)
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.05)  # a number has 8 bits


def test_augmented_training_sees_other_images_and_obeys_its_seed():
    labels, losses = torch.arange(6) % 3, []
    for augment in (False, True, True):
        model = qr.models.build("small_cnn", (1, 8, 8), 3)
        recipe = Recipe(epochs=2, augment=augment)
        losses.append(qr.training.fit(model, IMAGES, labels, recipe))
    assert losses[0] != losses[1] == losses[2]


def test_an_unknown_precision_is_refused():
    model = qr.models.build("small_cnn", (1, 8, 8), 3)
    with pytest.raises(ValueError, match="precision: expected"):
        qr.training.fit(model, IMAGES, torch.arange(6) % 3, precision="float16")


@given(count=st.integers(2, 300), size=st.integers(1, 70))
def test_an_epoch_sees_every_image_once_and_no_image_alone(count, size):
    parts = batches(count, size, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    assert size == 1 or min(map(len, parts)) > 1


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.arange(5), "labels: expected shape"),
        (torch.full((6, 3), 0.5), "simplex"),
        (torch.full((5, 2), 0.5), "expected 6 rows"),
        (torch.tensor([0, 1, 2, -1, 0, 1]), "labels: expected integers"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, message):
    model = qr.models.build("small_cnn", (1, 8, 8), 3)
    with pytest.raises(ValueError, match=message):
        qr.training.fit(model, IMAGES, targets, ONE)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_any_integer_train_alike(dtype):
    losses = []
    for labels in (torch.arange(6) % 3, (torch.arange(6) % 3).to(dtype)):
        model = qr.models.build("small_cnn", (1, 8, 8), 3)
        losses.append(qr.training.fit(model, IMAGES, labels, ONE, seed=np.int64(0)))
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("last", "targets", "message"),
    [
        (nn.Softmax(1), torch.arange(6) % 3, "got probabilities"),
        (nn.Linear(3, 1), torch.arange(6) % 3, "K >= 2"),
        (nn.Linear(3, 2), torch.arange(6) % 3, "expected 3 classes or more"),
        (nn.Identity(), torch.eye(4)[torch.arange(6) % 4], "expected 4 classes"),
    ],
)
def test_a_model_that_answers_no_logits_of_these_targets_is_not_trained(last, targets, message):
    model = nn.Sequential(qr.models.build("small_cnn", (1, 8, 8), 3), last)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        qr.training.fit(model, IMAGES, targets, ONE)
    for name, values in model.state_dict().items():  # running averages, too
        assert torch.equal(values, before[name]), name


def test_labels_beyond_the_models_classes_are_refused_before_the_first_step():
    model = qr.models.build("small_cnn", (1, 8, 8), 3)
    before = model.body[0][1].running_mean.clone()
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        qr.training.fit(model, IMAGES, torch.arange(6), ONE)
    assert torch.equal(model.body[0][1].running_mean, before)


@pytest.mark.parametrize(
    ("images", "message"),
    [(IMAGES * 255, r"numbers in \[0, 1\]"), (IMAGES.double(), "dtype torch.float32")],
)
def test_images_that_do_not_fit_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        qr.training.fit(qr.models.build("small_cnn", (1, 8, 8), 3), images, torch.arange(6) % 3)


def test_a_fitted_model_is_in_eval_mode_whatever_was_done_after_the_last_epoch():
    model = qr.models.build("small_cnn", (1, 8, 8), 3)
    qr.training.fit(
        model, IMAGES, torch.arange(6) % 3, ONE, after_epoch=lambda _, model: model.train()
    )
    assert not any(part.training for part in model.modules())
