"""How a model is trained: one object for the victim, its helpers and the thief's substitute."""

from dataclasses import dataclass

from queen_ref.checks import check_choice, check_number, plain_numbers
from queen_ref.models import BUILDERS

SCHEDULES = ("cosine", "step", "constant")


@dataclass(frozen=True)
class Recipe:
    """SGD, spelled out. The defaults train a victim.

    Arguments: `model`, a name of `queen_ref.models.BUILDERS`, for whoever builds the model;
    `epochs`; `batch_size`; `lr`, the learning rate at the beginning; `momentum`;
    `weight_decay`; `schedule` of the rate, "cosine" (to zero), "step" (halved every ten epochs)
    or "constant"; `augment`, whether images are cropped and mirrored at random, see
    `queen_ref.training.augmentation`.
    Errors: `ValueError` that names the field and what was expected.

    >>> Recipe(epochs=5).batch_size
    64
    """

    model: str = "small_cnn"
    epochs: int = 10
    batch_size: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    augment: bool = False

    def __post_init__(self) -> None:
        plain_numbers(self)
        check_choice("model", self.model, tuple(BUILDERS))
        check_number("epochs", self.epochs, low=1, integer=True)
        check_number("batch_size", self.batch_size, low=1, integer=True)
        check_number("lr", self.lr, low=0, above=True)
        check_number("momentum", self.momentum, low=0, high=1)
        check_number("weight_decay", self.weight_decay, low=0)
        check_choice("schedule", self.schedule, SCHEDULES)
        if not isinstance(self.augment, bool):
            raise ValueError(f"augment: expected True or False, got {self.augment!r}")


def check_recipe(recipe: Recipe) -> None:
    """Demand a `Recipe`: a dict or a number of epochs is none.

    >>> check_recipe(5)
    Traceback (most recent call last):
    ValueError: recipe: expected a Recipe, got int
    """
    if not isinstance(recipe, Recipe):
        raise ValueError(f"recipe: expected a Recipe, got {type(recipe).__name__}")


DEFAULT = Recipe()
# What the literature trains a substitute with.
SUBSTITUTE = Recipe(epochs=30, batch_size=128, lr=0.1, momentum=0.5, schedule="step")
