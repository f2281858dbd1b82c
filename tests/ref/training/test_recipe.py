"""The recipe: what it refuses, and that each field of it reaches the training."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest
import torch

import queen_ref as qr
from queen_ref.attacks import Sizes
from queen_ref.defenses.adaptive_misinformation import train_misinformation
from queen_ref.defenses.outlier_exposure import train_outlier_exposed
from queen_ref.training import SUBSTITUTE, Recipe, fit

IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3
SHORT = Recipe(epochs=2, batch_size=4)
OTHER = {
    "model": "vgg11_bn", "epochs": 3, "batch_size": 6, "lr": 0.01, "momentum": 0.1,
    "weight_decay": 0.1, "schedule": "constant", "augment": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "small"),
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", 0),
        ("lr", 0),
        ("lr", float("nan")),
        ("momentum", -0.1),
        ("momentum", 1.1),
        ("weight_decay", -1e-4),
        ("schedule", "linear"),
        ("augment", 1),
    ],
)
def test_a_field_that_makes_no_sense_is_refused_in_one_line(field, value):
    with pytest.raises(ValueError, match=f"^{field}: expected [^\n]+$"):
        Recipe(**{field: value})


def test_a_recipe_cannot_be_changed_and_an_unknown_field_is_no_field():
    with pytest.raises(FrozenInstanceError):
        SUBSTITUTE.epochs = 1
    with pytest.raises(TypeError):
        Recipe(learning_rate=0.1)
    with pytest.raises(ValueError, match="^recipe: expected a Recipe, got dict$"):
        Sizes(recipe={"epochs": 3})


def weights(model):
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()


def fitted(recipe):
    model = qr.models.build("small_cnn", (3, 8, 8), 3, seed=0)
    fit(model, IMAGES, LABELS, recipe, seed=0)
    return model


TRAININGS = {
    "fit": fitted,
    "substitute": lambda r: qr.attacks.train_substitute(IMAGES, torch.eye(3)[LABELS], r, seed=0),
    "knockoff": lambda r: qr.attacks.knockoff(
        lambda x: torch.full((len(x), 3), 1 / 3), IMAGES, 12, r, seed=0
    ),
    "misinformation": lambda r: train_misinformation(IMAGES, LABELS, 3, r, seed=0),
    "outlier exposure": lambda r: train_outlier_exposed(IMAGES, LABELS, 3, r, seed=0),
}


@pytest.mark.parametrize("train", TRAININGS.values(), ids=TRAININGS.keys())
def test_every_field_reaches_every_training(train):
    assert set(OTHER) == {field.name for field in fields(Recipe)}
    usual = weights(train(SHORT))
    assert torch.equal(usual, weights(train(replace(SHORT))))
    for field, value in OTHER.items():
        if field == "model" and train is fitted:
            continue  # it gets the model that it trains
        changed = weights(train(replace(SHORT, **{field: value})))
        assert changed.shape != usual.shape or not torch.equal(changed, usual), field


@pytest.mark.parametrize("train", TRAININGS.values(), ids=TRAININGS.keys())
def test_a_number_of_epochs_is_no_recipe(train):
    with pytest.raises(ValueError, match="^recipe: expected a Recipe, got int$"):
        train(5)


def test_what_a_field_means():
    model, rates, epochs = qr.models.build("small_cnn", (3, 8, 8), 3), [], []
    step = torch.optim.SGD.step

    def watched(optimizer, *given):
        (group,) = optimizer.param_groups
        rates.append(group["lr"])
        assert (group["momentum"], group["weight_decay"]) == (0.3, 0.01)
        return step(optimizer, *given)

    recipe = Recipe(
        epochs=11, batch_size=6, lr=0.02, momentum=0.3, weight_decay=0.01, schedule="step"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", watched)
        fit(model, IMAGES, LABELS, recipe, after_epoch=lambda epoch, _: epochs.append(epoch))
    assert epochs == list(range(11))
    assert rates == pytest.approx([0.02] * 20 + [0.01] * 2)  # two batches an epoch
