"""The grid: every combination of attack, policy, defence and seed, as cells.

All names, objects and numbers are checked here, before the first cell begins. Cells that would say
nothing new are left out, as in the literature:

- no defence x adaptive attacks: there is nothing to adapt to;
- an attack that needs the defence's codebook where the defence has none;
- an attack that reads the label alone where the defence keeps it: that is the defence `top1`
  attacked naively, whatever else the answer holds;
- an attack that only has more accounts where the defence has no memory: whoever asks is answered
  alike, so it is the naive attack;
- S4L and smoothing with anything but random queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from queen_ref.arena.cells import Cell, check_pool
from queen_ref.arena.code import code_of
from queen_ref.arena.own import (
    Named,
    Own,
    check_data,
    named_attacks,
    named_defenses,
    named_policies,
)
from queen_ref.arena.settings import settings_of
from queen_ref.attacks.registry import ATTACKS, POLICIES, Attack
from queen_ref.cache import expanded
from queen_ref.checks import check_number
from queen_ref.data.profiles import POOLS, PROFILES, Data, pools_in
from queen_ref.defenses.registry import DEFENSES, Maker, find, make, parts_of, settings_in
from queen_ref.models import BUILDERS, Builder, build
from queen_ref.queen.config import QueenConfig, idle_settings
from queen_ref.queen.variants import config_of
from queen_ref.registry import says
from queen_ref.training.recipe import Recipe

NUMBERS = tuple(one.name for one in fields(QueenConfig) if isinstance(one.default, int | float))


def suits(attack: str | Attack, policy: str, defense: str | Maker) -> bool:
    """Whether the combination belongs to the grid; see the top of this file.

    >>> suits("ddae", "random", "queen"), suits("ddae", "random", "none")
    (True, False)
    """
    return not why_not(attack, policy, defense)


def why_not(attack: str | Attack, policy: str, defense: str | Maker) -> str:
    """Why the combination does not belong to the grid; empty if it does.

    >>> why_not("ddae", "random", "none")
    'there is no defence to adapt to'
    """
    attack = ATTACKS.find(attack) if isinstance(attack, str) else attack
    maker = find(defense)
    if attack.adaptive and says(maker, "l1_bound", None) == 0:
        return "there is no defence to adapt to"
    if "codebook" in attack.needs and says(maker, "held", None) is None:
        return "the defence has no codebook"
    if says(attack.method, "reads_label_only", False) and says(maker, "keeps_label", False):
        return "the defence keeps the label: that is the naive attack on top1"
    if says(attack.method, "only_accounts", False) and not says(maker, "stateful", True):
        return "the defence has no memory: that is the naive attack"
    return "" if attack.suits(policy) else "the attack does not go with that policy"


def grid(
    profile: str,
    attacks: Sequence[Any],
    policies: Sequence[Any],
    defenses: Sequence[Any],
    seeds: Sequence[int],
    pool: str | None = None,
    limit: int | None = None,
    vary: Sequence[tuple[str, object]] = (),
    *,
    budget: int | None = None,
    data: Data | None = None,
    model: str | Builder | None = None,
    keep: str | Path | None = None,
    recipe: Mapping[str, object] | None = None,
) -> list[Cell]:
    """The cells of a grid, seed by seed: a shared part is trained when its seed begins.

    Arguments: `attacks`, `policies` and `defenses` by name, or one's own; `pool`, the profile's
    own by default, see `Data.pool`; `limit`, see `settings_of`; `vary`, pairs of a setting of the
    defences and a value: a cell for each pair, a sweep; `budget`, the profile's by default;
    `data`, `model`, `keep` and `recipe`, see `queen_ref.arena.run`.
    Errors: `ValueError` for a name that is not known, twice the same, or nothing left to run.

    >>> len(grid("cpu", ["naive", "ddae"], ["random"], ["none", "queen"], [0, 1]))
    6
    """
    check_names("profile", [profile], PROFILES)
    _check_some("attacks", attacks, tuple(ATTACKS))
    _check_some("policies", policies, tuple(POLICIES))
    _check_some("defenses", defenses, ("none",))
    thieves, rules = named_attacks(attacks), named_policies(policies)
    shields = named_defenses(defenses)
    for what, some in (("attacks", thieves), ("policies", rules), ("defenses", shields)):
        names = [one.name for one in some]
        check_names(what, names, names)
    if isinstance(seeds, str) or not isinstance(seeds, Sequence | range):
        raise ValueError(f"seeds: expected a list, as [0, 1], got {seeds!r}")
    for seed in seeds:
        check_number("seeds", seed, low=0, integer=True)
    check_names("seeds", seeds, tuple(seeds))
    if isinstance(model, str) and model not in BUILDERS.built_in:
        model = BUILDERS.find(model)
    about = _about(data, model)
    network = model if isinstance(model, str) else data.model if data and model is None else None
    usual = settings_of(profile, limit)
    budget = None if budget == usual.budget else budget
    network = None if network == usual.victim.model else network
    training = _not_usual(recipe or {}, usual.sizes.recipe)
    pools = POOLS[profile] if data is None else tuple(data.pools)
    pool = pool or (usual.pool if usual.pool in pools else pools[0])
    pools_in(pool, pools)  # a name that is not known is said now
    for name, value in vary:
        _check_setting(name, value, shields)
        for one in shields:
            _check_value(name, value, one.thing)
    changes: list[tuple[tuple[str, object], ...]] = [(pair,) for pair in vary] or [()]
    of_queen = bool(vary) and "queen" in parts_of(shields[0].thing)
    for change in changes:
        # A value that QUEEN does not take, or no thief can pay, is said now.
        settings_of(profile, limit, change if of_queen else (), budget, network, training)
    own = Own(
        {one.name: one.thing for one in thieves if one.code},
        {one.name: one.thing for one in rules if one.code},
        # What a room above the list brought has its settings in its key, and is found by name.
        {one.name: one.thing for one in shields if one.code and one.name not in DEFENSES.taken},
        data,
        None if isinstance(model, str) else model,
    )
    # Some attacks choose their images themselves, whatever policies the others are to try.
    chosen = dict.fromkeys(one.thing.policy for one in thieves if one.thing.policy is not None)
    theirs = [one for one in named_policies(list(chosen)) if one not in rules]
    kept = None if keep is None else str(expanded("keep", keep).absolute())
    cells = [
        Cell(
            profile, pool, attack.name, policy.name, defense.name, seed, limit,
            change if of_queen else (), budget, network, training,
            () if of_queen else change,
            (*_codes(attack, policy, defense), *about), own or None, kept,
        )
        for seed in seeds
        for policy in (*rules, *theirs)
        for defense in shields
        for attack in thieves
        for change in changes
        if suits(attack.thing, policy.name, defense.thing)
        and (policy in rules or attack.thing.policy is not None)
    ]  # fmt: skip
    if not cells:
        rule = next((one for one in rules if thieves[0].thing.suits(one.name)), rules[0])
        reason = why_not(thieves[0].thing, rule.name, shields[0].thing)
        raise ValueError(
            "grid: expected attacks that suit the policies and defenses, none does; "
            f"{thieves[0].name} x {rule.name} x {shields[0].name}: {reason}"
        )
    if data is not None:
        check_pool(cells, data)
    return cells


def _check_setting(name: str, value: object, shields: Sequence[Named[Maker]]) -> None:
    """Demand a setting that decides something in all of the defences and that none fixes.

    It is QUEEN's, or that of their makers. Where it decides nothing the cells would be copies.
    """
    kinds = {"queen" in parts_of(one.thing) for one in shields}
    if len(kinds) > 1:
        raise ValueError("vary: expected defenses that are all QUEEN's, or none of them")
    for one in shields:
        known = settings_in(one.thing)
        if kinds == {True}:
            config = config_of(one.thing)
            idle = set() if config is None else idle_settings(config)
            fixed = idle.union(getattr(one.thing, "keywords", {}))
            known = tuple(setting for setting in NUMBERS if setting not in fixed)
        if name not in known:
            raise ValueError(
                f"vary: expected a setting that all defenses have, {one.name} has "
                f"{', '.join(known) or 'none'}, got {name}={value}"
            )


def _check_value(name: str, value: object, maker: Maker) -> None:
    """Demand a value that the maker takes, tried in front of a network that nobody trained."""
    if {"queen", "images"} & set(parts_of(maker)):
        return  # QUEEN's are checked with its settings; these would be fitted to the images first
    net = build("small_cnn", (1, 28, 28), 10, 0)
    make(partial(maker, **{name: value}), net, outlier_exposed=net, misinformation=net)


def _not_usual(recipe: Mapping[str, object], usual: Recipe) -> tuple[tuple[str, object], ...]:
    """Pairs of a name and a value, in one order, of what the profile does not have anyway."""
    if not isinstance(recipe, Mapping):
        raise ValueError(f'recipe: expected a dict as {{"epochs": 30}}, got {recipe!r}')
    pairs = sorted(recipe.items())
    return tuple((name, v) for name, v in pairs if getattr(usual, name, None) != v)


def _check_some(what: str, given: object, known: Sequence[str]) -> None:
    if isinstance(given, str) or not isinstance(given, Sequence | dict):
        raise ValueError(f"{what}: expected a list, as {list(known[:2])}, got {given!r}")
    if not given:
        check_names(what, [], known)


def _codes(attack: Named, policy: Named, defense: Named) -> list[tuple[str, str]]:
    pairs = [("attack", attack.code), ("policy", policy.code), ("defense", defense.code)]
    return [pair for pair in pairs if pair[1]]


def _about(data: Data | None, model: str | Builder | None) -> list[tuple[str, str]]:
    """What the key says of data and a network of one's own."""
    pairs = []
    if model is not None and not isinstance(model, str):
        if not callable(model) or isinstance(model, type | nn.Module):
            raise ValueError(
                f"model: expected a name or (shape, num_classes, seed) -> Victim, got {model!r}"
            )
        pairs.append(("model", code_of(model)))
    if data is not None:
        pairs.append(("data", check_data(data).digest()[:20]))
    return pairs


def check_names(what: str, names: Sequence[object], known: Sequence[object]) -> None:
    """Demand at least one name, each known, none twice.

    >>> check_names("attacks", ["naive", "nave"], ("naive", "top1"))
    Traceback (most recent call last):
    ValueError: attacks: expected some of naive, top1, got 'nave'
    """
    if not names:
        raise ValueError(f"{what}: expected at least one of {', '.join(map(str, known))}, got none")
    for name in names:
        if name not in known:
            raise ValueError(f"{what}: expected some of {', '.join(map(str, known))}, got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"{what}: expected each once, got {', '.join(map(str, names))}")
