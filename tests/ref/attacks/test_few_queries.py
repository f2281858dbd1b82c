"""A few answers and features of one's own."""

from dataclasses import replace

import pytest
import torch
from thief import POOL, TINY

from queen_ref.attacks.few_queries import FewQueriesPolicy, OwnFeatures, learned_turns
from queen_ref.attacks.policies import FREE
from queen_ref.metrics import predict
from queen_ref.models import build
from queen_ref.training import Recipe

ANSWERS = torch.eye(3)[torch.arange(12) % 3]


def test_no_more_is_asked_than_an_account_is_told_honestly():
    pool = POOL.repeat(3, 1, 1, 1)
    for budget, sent in ((10, 10), (150, FREE)):
        images, answers = FewQueriesPolicy()(lambda x: x.flatten(1), pool, budget, None, seed=0)
        assert len(images) == len(answers) == sent == FewQueriesPolicy().takes(budget, TINY)


def test_the_substitute_begins_with_what_the_pool_has_taught():
    still = replace(TINY.recipe, lr=1e-12, weight_decay=0.0)
    taught = learned_turns(POOL, still, seed=4)
    fresh = build(still.model, (1, 8, 8), 3, seed=4).state_dict()
    assert fresh.keys() - taught.keys() == {"head.weight", "head.bias"}
    own = OwnFeatures.train_substitute(POOL[:12], ANSWERS, still, seed=4, unlabelled=POOL)
    for name, value in own.named_parameters():
        expected = fresh[name] if name.startswith("head.") else taught[name]
        torch.testing.assert_close(value, expected)


def test_the_pool_teaches_how_images_are_turned():
    pool = torch.linspace(0, 1, 8).expand(64, 1, 8, 8) + 0.1 * torch.rand(64, 1, 8, 8)
    pool, recipe = pool.clamp(0, 1), Recipe(epochs=20, batch_size=16)
    weights, blank = learned_turns(pool, recipe, seed=0), build(recipe.model, (1, 8, 8), 4, 0)
    moved = [n for n, w in blank.named_parameters() if n in weights and (weights[n] != w).any()]
    assert moved == [n for n, _ in blank.named_parameters() if not n.startswith("head.")]


def test_the_curve_has_as_many_points_as_the_recipe_has_epochs():
    seen = []
    model = OwnFeatures.train_substitute(
        POOL[:12], ANSWERS, TINY.recipe, unlabelled=POOL, after_epoch=lambda e, m: seen.append(e)
    )
    assert seen == [0, 1] and predict(model, POOL).shape == (60, 3)


def test_oblongs_cannot_be_turned():
    with pytest.raises(ValueError, match="square"):
        learned_turns(torch.rand(8, 1, 8, 10), TINY.recipe)
