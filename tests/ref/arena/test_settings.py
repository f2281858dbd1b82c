"""The settings of a profile, and the words in which the results files hold them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from queen_ref.arena import Cell, settings_of
from queen_ref.arena.settings import as_config
from queen_ref.data.profiles import PROFILES, load
from queen_ref.registry import says
from queen_ref.training import SUBSTITUTE

RESULTS = Path(__file__).resolve().parents[3] / "book" / "results"


@pytest.mark.parametrize("name", ["arena.jsonl", "mending.jsonl", "photos.jsonl"])
def test_what_was_recorded_keeps_its_key_and_its_settings(name):
    for text in (RESULTS / name).read_text().splitlines():
        line = json.loads(text)
        queen = tuple(line.get("queen", {}).items())
        more = {"setting": tuple(line.get("setting", {}).items()),
                "code": tuple(line["config"].get("code", {}).items())}  # fmt: skip
        names = ("profile", "pool", "attack", "policy", "defense", "seed")
        cell = Cell(*(line[name] for name in names), line.get("limit"), queen, **more)
        if says(cell.the_attack.method, "edition", None) != line["config"]["preset"].get("edition"):
            assert cell.key != line["key"]  # the attack is another by now, and measured anew
            continue
        config = json.loads(json.dumps(cell.config))
        # The default map of the package has changed since; nothing else may have.
        now, then = (one["settings"]["queen"] for one in (config, line["config"]))
        assert (cell.key == line["key"]) == (now["map_normalize"] == then["map_normalize"])
        now["map_normalize"] = then["map_normalize"]
        assert config == line["config"]


# As they were before QUEEN could hide: profile, pool, attack, policy, defence, seed and what else.
KEYS = {
    "b13944e144829cc5e7d3": ("cpu", "mnist", "naive", "random", "queen", 0),
    "433fd6819c2ec140f430": ("cpu", "mnist", "naive", "random", "none", 3),
    "937d9ca7d0fcb9c2a4f7": ("cpu", "mnist", "zero", "random", "queen-strict", 1),
    "17d5add8187f2dedc73a": ("cpu", "digits", "ddae+", "random", "queen-strict-exact", 2),
    "ddf33153a6adf6b49fc0": ("cpu", "mnist", "bayes", "random", "queen-authors", 0),
    "dca2c2bc0fc3f4c98310": ("cpu", "mnist", "poison", "poison", "queen-shared", 0),
    "f811dce7c2553120ee54": ("smoke", "mnist", "naive", "random", "queen-exact", 0),
    "e4fb77566964e2d53b76": ("gpu", "tiny-imagenet", "top1", "random", "queen", 0),
    "baed9bcba4c5a25df018": (
        "cpu", "mnist", "naive", "random", "queen", 0, None, (("threshold", 0.05),),
    ),
    "14e26a25fd1c2ab7ffa7": (
        "cpu", "mnist", "naive", "random", "queen", 0, None, (("method", "exact"),),
    ),
    "67a6e93792e79e120994": ("gpu", "tiny-imagenet", "naive", "random", "mad", 0, 128),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_cell_has_the_key_that_it_had_before_there_were_more_settings(key):
    assert Cell(*KEYS[key]).key == key


@pytest.mark.parametrize(
    "change", [("answer", "hidden"), ("gate", "inside"), ("region_side", 0.5), ("gate_alarm", 0.01)]
)
def test_a_setting_that_came_later_makes_another_cell(change):
    cell = Cell("cpu", "mnist", "naive", "random", "queen", 0)
    assert replace(cell, queen=(change,)).key != cell.key


OTHER = {
    "epochs": 9, "batch_size": 77, "lr": 0.123, "momentum": 0.77, "weight_decay": 0.0123,
    "schedule": "constant", "model": "resnet18",
}  # fmt: skip


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("whose", ["substitute", "victim", "helpers"])
def test_every_field_of_every_recipe_is_in_the_settings(profile, whose):
    settings = settings_of(profile)
    recipe = settings.sizes.recipe if whose == "substitute" else getattr(settings, whose)
    seen = [as_config(settings)]
    for field, value in {**OTHER, "augment": not recipe.augment}.items():
        changed = replace(recipe, **{field: value})
        if whose == "substitute":
            other = replace(settings, sizes=replace(settings.sizes, recipe=changed))
        else:
            other = replace(settings, **{whose: changed})
        assert as_config(other) not in seen
        seen.append(as_config(other))
    json.dumps(seen)


def test_the_victim_is_the_network_of_its_data():
    for profile in ("smoke", "cpu"):
        assert settings_of(profile).victim.model == load(profile).model
    assert settings_of("gpu").victim.model == settings_of("gpu").sizes.recipe.model == "vgg16_bn"


def test_on_photographs_the_copy_is_narrower_or_of_another_kind():
    usual = settings_of("photos")
    assert (usual.victim.model, usual.sizes.recipe.model) == ("cnn3_w32", "cnn3_w16")
    other = settings_of("photos", recipe=[("model", "resnet8")])
    assert other.sizes.recipe.model == "resnet8"
    assert (other.victim, other.helpers) == (usual.victim, usual.helpers)
    assert as_config(other)["sizes"]["model"] == "resnet8"


def test_a_limit_cuts_every_training_and_the_thief_keeps_the_rest_of_the_recipe():
    settings = settings_of("gpu", limit=128)
    recipes = settings.sizes.recipe, settings.victim, settings.helpers
    assert {recipe.epochs for recipe in recipes} == {2}
    assert replace(settings.sizes.recipe, epochs=30, model="small_cnn") == SUBSTITUTE
