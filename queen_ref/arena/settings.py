"""What a profile fixes for every cell: data, budget, sizes of everything that is trained.

`smoke` is for tests, `cpu` for a laptop, `photos` for CIFAR-10 on a laptop, `gpu` for the paper's
protocol on it. Lengths and sizes are all that differs: the attacks and the defences are the same
code.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from queen_ref.attacks import Sizes
from queen_ref.checks import check_choice, check_number
from queen_ref.data.profiles import PROFILES
from queen_ref.queen.config import QueenConfig, recorded_settings
from queen_ref.training.recipe import DEFAULT, SUBSTITUTE, Recipe

# Fewer images than this leave a class empty, or a batch too small for batch norm.
MIN_LIMIT = 64


@dataclass(frozen=True)
class Settings:
    """A profile's settings. `as_config` of them is part of every result and of every cell's key.

    Arguments: `pool`, the pool asked by default; `budget`, nominal queries of a thief;
    `sizes` of what he trains; `victim` and `helpers` (the outlier-exposed victim, the
    misinformation model), the recipes of the owner; `queen`, the defence's settings; `device`,
    where "auto" is a GPU if there is one.
    """

    pool: str
    budget: int
    sizes: Sizes
    victim: Recipe
    helpers: Recipe
    queen: QueenConfig = field(default_factory=QueenConfig)
    device: str = "cpu"


def settings_of(
    profile: str,
    limit: int | None = None,
    queen: Sequence[tuple[str, Any]] = (),
    budget: int | None = None,
    model: str | None = None,
    recipe: Sequence[tuple[str, Any]] = (),
) -> Settings:
    """The settings of "smoke", "cpu", "photos" or "gpu".

    `limit` cuts the data to so many images and all training to an epoch or two. It tries every
    path of a profile in minutes, on a laptop; its numbers mean nothing. `queen` changes settings
    of the defence: pairs of a name of `QueenConfig` and a value. `budget` is in place of the
    profile's, `model` in place of the network of the victim and its helpers. `recipe` changes how
    the thief trains: pairs of a name of `Recipe` and a value, "model" among them, the network of
    his copy. The literature's Knockoff thief has no weight decay, ours has the victim's.

    >>> settings_of("cpu").budget, settings_of("gpu", limit=200).budget
    (1500, 200)
    """
    check_choice("profile", profile, PROFILES)
    settings = {"smoke": _smoke, "cpu": _cpu, "photos": _photos, "gpu": _gpu}[profile]()
    if limit is not None:
        check_number("limit", limit, low=MIN_LIMIT, integer=True)
        settings = _limited(settings, limit)
    if budget is not None:
        check_number("budget", budget, low=1, integer=True)
        settings = replace(settings, budget=budget)
    if model is not None:
        victim, helpers = replace(settings.victim, model=model), settings.helpers
        settings = replace(settings, victim=victim, helpers=replace(helpers, model=model))
    if recipe:
        sizes = settings.sizes
        for name, _ in recipe:
            check_choice("recipe", name, tuple(vars(sizes.recipe)))
        sizes = replace(sizes, recipe=replace(sizes.recipe, **dict(recipe)))
        settings = replace(settings, sizes=sizes)
    return replace(settings, queen=replace(settings.queen, **dict(queen)))


def as_config(settings: Settings) -> dict:
    """Plain numbers and words of the settings, without the device: it decides no result.

    The words are those of the results files, which must keep their keys. There a recipe says
    what it changes of the usual one, and some fields in any case; QUEEN's settings are those of
    `recorded_settings`.

    >>> as_config(settings_of("smoke"))["victim"]
    {'epochs': 5}
    """
    config = asdict(settings)
    config["queen"] = recorded_settings(settings.queen)
    del config["device"]
    substitute = settings.sizes.recipe
    del config["sizes"]["recipe"]
    del config["sizes"]["recovery_steps"]  # in the key of those only whom it decides
    config["sizes"] |= _changes(substitute, SUBSTITUTE, ("model", "epochs", "batch_size", "lr"))
    usual = replace(DEFAULT, model=substitute.model)
    for name in ("victim", "helpers"):
        recipe = getattr(settings, name)
        # A learning rate goes with its batch size.
        said = ("epochs",) if recipe.batch_size == usual.batch_size else ("epochs", "lr")
        config[name] = _changes(recipe, usual, said)
    return config


def _changes(recipe: Recipe, usual: Recipe, said: Sequence[str]) -> dict:
    return {
        name: value
        for name, value in asdict(recipe).items()
        if name in said or value != getattr(usual, name)
    }


def _limited(settings: Settings, limit: int) -> Settings:
    sizes = replace(
        settings.sizes,
        recipe=replace(settings.sizes.recipe, epochs=2),
        shadow_nets=2,
        shadow_epochs=1,
        table=min(settings.sizes.table, 2_000),
        recovery_epochs=2,
        recovery_steps=4,
        jbda_seeds=limit // 16,  # two rounds to the budget
    )
    return replace(
        settings,
        budget=min(settings.budget, limit),
        sizes=sizes,
        victim=replace(settings.victim, epochs=2),
        helpers=replace(settings.helpers, epochs=2),
        queen=replace(
            settings.queen, map_epochs=2, shadows=2, shadows_per_query=1, shadow_epochs=1
        ),
    )


def _smoke() -> Settings:
    # Long enough that every stage does its work, too short for its numbers to mean anything.
    return Settings(
        pool="mnist",
        budget=150,
        sizes=Sizes(
            recipe=replace(SUBSTITUTE, epochs=8, batch_size=16),
            shadow_nets=2,
            shadow_epochs=3,
            table=2_000,
            recovery_epochs=5,
            recovery_steps=100,
            jbda_seeds=38,
        ),
        victim=Recipe(epochs=5),
        helpers=Recipe(epochs=3),
        queen=QueenConfig(map_epochs=20, shadows=4, shadows_per_query=2),
    )


def _cpu() -> Settings:
    # 1500 queries are few: small batches make 8 epochs as many steps as the thief needs.
    # 94 seeds grow fourfold a round, as the protocol's 1000: 94, 376, 1500.
    return Settings(
        pool="mnist",
        budget=1500,
        sizes=Sizes(
            recipe=replace(SUBSTITUTE, epochs=8, batch_size=32),
            shadow_nets=5,
            shadow_epochs=5,
            table=20_000,
            recovery_epochs=60,
            recovery_steps=10_000,
            jbda_seeds=94,
        ),
        victim=Recipe(epochs=10),
        helpers=Recipe(epochs=10),
    )


def _photos() -> Settings:
    # The copy is the victim's network at half its width. Its rate falls to zero: eight epochs at a
    # constant one would end wherever the last batch threw them. 312 seeds grow to 19 968 in three
    # rounds.
    victim = Recipe(model="cnn3_w32", epochs=10, batch_size=128, augment=True)
    return Settings(
        pool="tiny-imagenet",
        budget=20_000,
        sizes=Sizes(
            recipe=replace(
                SUBSTITUTE, model="cnn3_w16", epochs=8, batch_size=64, schedule="cosine"
            ),
            shadow_nets=5,
            shadow_epochs=5,
            table=100_000,
            recovery_epochs=60,
            recovery_steps=10_000,
            jbda_seeds=312,
        ),
        victim=victim,
        helpers=victim,
    )


def _gpu() -> Settings:
    # The protocol of the literature, but for the victim: 30 epochs from scratch, with crops and
    # mirror images. The shadows are the authors' network; how weak they are is our rule.
    victim = Recipe(model="vgg16_bn", epochs=30, batch_size=128, lr=0.05, augment=True)
    return Settings(
        pool="tiny-imagenet",
        budget=50_000,
        sizes=Sizes(
            recipe=replace(SUBSTITUTE, model="vgg16_bn"),
            shadow_nets=20,
            table=1_000_000,
            recovery_epochs=200,
            recovery_steps=200_000,
            jbda_seeds=1000,
        ),
        victim=victim,
        helpers=victim,
        queen=QueenConfig(shadow_arch="vgg11_bn"),
        device="auto",
    )
