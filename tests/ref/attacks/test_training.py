"""Training a substitute on the answers, and one that diverges."""

from dataclasses import replace

import pytest
import torch
from blocks import blocks

import queen_ref as qr
from queen_ref.attacks.training import is_finite, near_chance, train_substitute
from queen_ref.training import SUBSTITUTE

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def uniform(images):
    return torch.full((len(images), 4), 0.25)


def test_knockoff_spends_its_budget_and_no_more():
    api = qr.BlackBox(uniform, budget=5)
    recipe = replace(SUBSTITUTE, epochs=1)
    substitute = qr.attacks.knockoff(api, IMAGES, 5, recipe, query_batch=2, seed=0)
    assert api.queries == 5 and substitute.num_classes == 4


def test_the_same_seed_steals_the_same_substitute():
    recipe = replace(SUBSTITUTE, epochs=2)
    one, same = (qr.attacks.knockoff(uniform, IMAGES, 6, recipe, seed=3) for _ in range(2))
    torch.testing.assert_close(one.state_dict(), same.state_dict())


# A training that fails -------------------------------------------------------------------


def test_a_training_that_diverges_is_one_line_that_names_the_recipe():
    answers = torch.eye(4)[torch.arange(20) % 4]
    recipe = replace(SUBSTITUTE, epochs=3, lr=1e30)
    with pytest.raises(ValueError, match="^substitute: expected finite.*lr=1e.30") as caught:
        train_substitute(blocks(20)[0], answers, recipe)
    assert "\n" not in str(caught.value)
    left = train_substitute(blocks(20)[0], answers, recipe, allow_diverged=True)
    assert not is_finite(left)


@pytest.mark.parametrize("name", ["head.weight", "body.0.1.running_var"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_single_number_makes_a_model_not_finite(name, value):
    model = qr.models.build("small_cnn", (1, 8, 8), 4)
    assert is_finite(model)
    model.state_dict()[name].view(-1)[0] = value
    assert not is_finite(model)


@pytest.mark.parametrize(
    ("share", "classes", "count", "chance"),
    [
        (0.135, 10, 333, True),
        (0.02, 10, 333, True),
        (0.5, 2, 1000, True),
        (0.3, 10, 333, False),
        (0.06, 100, 1000, False),
        (0.95, 2, 100, False),
    ],
)
def test_near_chance_is_what_luck_could_do(share, classes, count, chance):
    assert near_chance(share, classes, count) is chance
