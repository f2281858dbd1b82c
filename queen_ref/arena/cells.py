"""A cell of the grid: one thief against one defence, on one cut of the data, with one seed.

Its key is a hash of everything that decides its result: two cells with one key are the same
experiment. Of one's own methods, data and network that is their code and content, too. Cells that
would say nothing new are left out, as in the literature:

- no defence x adaptive attacks: there is nothing to adapt to;
- an attack that reads the label alone where the defence keeps it: that is the defence `top1`
  attacked naively, whatever else the answer holds;
- S4L and smoothing with anything but random queries.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from queen_ref.arena.code import code_of
from queen_ref.arena.own import (
    Named,
    Own,
    check_data,
    named_attacks,
    named_defenses,
    named_policies,
)
from queen_ref.arena.settings import Settings, as_config, settings_of
from queen_ref.attacks.policies import Policy
from queen_ref.attacks.registry import ATTACKS, POLICIES, Attack
from queen_ref.cache import expanded
from queen_ref.checks import check_number
from queen_ref.data.profiles import POOLS, PROFILES, Data
from queen_ref.defenses.registry import Maker, find, parts_of
from queen_ref.models import BUILDERS, Builder
from queen_ref.registry import says

# Of the key and of a line in the results file. Raise it when either means something else.
FORMAT = 1


@dataclass(frozen=True)
class Cell:
    """What decides a result, in the words of the command line.

    Arguments: `limit`, images of a trial, see `settings_of`; `queen`, settings of QUEEN that are
    not the profile's, as pairs of a name and a value; `budget`, if it is not the profile's;
    `model`, a network's name if it is not the profile's; `code`, pairs of a word, "attack",
    "policy", "defense", "model" or "data", and a hash of what is one's own; `own`, the objects
    themselves, which `grid` adds; `keep`, a folder for what it leaves behind.

    >>> Cell("cpu", "mnist", "naive", "random", "queen", seed=0).name
    'naive x random x queen, seed 0'
    """

    profile: str
    pool: str
    attack: str
    policy: str
    defense: str
    seed: int
    limit: int | None = None
    queen: tuple[tuple[str, object], ...] = ()
    budget: int | None = None
    model: str | None = None
    code: tuple[tuple[str, str], ...] = ()
    own: Own | None = field(default=None, compare=False, repr=False)
    keep: str | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The cell in words, for people."""
        trial = f", limit {self.limit}" if self.limit else ""
        budget = f", budget {self.budget}" if self.budget else ""
        defense = self.defense + "".join(f" {name}={value}" for name, value in self.queen)
        return f"{self.attack} x {self.policy} x {defense}, seed {self.seed}{trial}{budget}"

    @cached_property
    def settings(self) -> Settings:
        """What the profile fixes, cut to `limit`, with what is the cell's own."""
        return settings_of(self.profile, self.limit, self.queen, self.budget, self.model)

    @property
    def brought(self) -> Own:
        """What is one's own, or nothing."""
        return self.own if self.own is not None else Own()

    @property
    def the_attack(self) -> Attack:
        """The attack itself."""
        own = self.brought.attacks
        return own[self.attack] if self.attack in own else ATTACKS.find(self.attack)

    @property
    def the_policy(self) -> Policy:
        """The policy itself."""
        own = self.brought.policies
        return own[self.policy] if self.policy in own else POLICIES.find(self.policy)

    @property
    def the_defense(self) -> Maker:
        """What makes the defence."""
        own = self.brought.defenses
        return own[self.defense] if self.defense in own else find(self.defense)

    @cached_property
    def config(self) -> dict:
        """The cell with all settings spelled out, in plain numbers, words and lists."""
        attack = self.the_attack
        words = ("profile", "pool", "attack", "policy", "defense", "seed", "limit", "queen")
        kept = {name: getattr(self, name) for name in (*words, "budget", "model")}
        own: dict[str, Any] = {k: value for k, value in kept.items() if value not in (None, ())}
        if self.code:
            own["code"] = dict(self.code)
        recovery = attack.recovery if isinstance(attack.recovery, str) else self.attack
        preset = {"recovery": recovery, "training": attack.training}
        if attack.policy is not None:
            preset["policy"] = attack.policy
        return {**own, "preset": preset, "settings": as_config(self.settings)}

    @cached_property
    def key(self) -> str:
        """20 hex digits of the SHA-256 of the configuration and the format's version.

        >>> len(Cell("cpu", "mnist", "naive", "random", "queen", seed=0).key)
        20
        """
        text = json.dumps({"format": FORMAT, **self.config}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def suits(attack: str | Attack, policy: str, defense: str | Maker) -> bool:
    """Whether the combination belongs to the grid; see the top of this file.

    >>> suits("ddae", "random", "queen"), suits("ddae", "random", "none")
    (True, False)
    """
    attack = ATTACKS.find(attack) if isinstance(attack, str) else attack
    maker = find(defense)
    if attack.adaptive and says(maker, "l1_bound", None) == 0:
        return False
    if says(attack.method, "reads_label_only", False) and says(maker, "keeps_label", False):
        return False
    return attack.suits(policy)


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
) -> list[Cell]:
    """The cells of a grid, seed by seed: a shared part is trained when its seed begins.

    Arguments: `attacks`, `policies` and `defenses` by name, or one's own; `pool`, the profile's
    own by default; `limit`, see `settings_of`; `vary`, pairs of a setting of QUEEN and a value: a
    cell for each pair, a sweep; `budget`, the profile's by default; `data`, `model` and `keep`, see
    `queen_ref.arena.run`.
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
    pools = POOLS[profile] if data is None else tuple(data.pools)
    pool = pool or (usual.pool if usual.pool in pools else pools[0])
    check_names("pool", [pool], (*pools, "all"))
    if vary and any("queen" not in parts_of(one.thing) for one in shields):
        raise ValueError("vary: expected defenses that are QUEEN's, its settings are varied")
    changes: list[tuple[tuple[str, object], ...]] = [(pair,) for pair in vary] or [()]
    for change in changes:
        # A value that QUEEN does not take, or no thief can pay, is said now.
        settings_of(profile, limit, change, budget, network)
    own = Own(
        {one.name: one.thing for one in thieves if one.code},
        {one.name: one.thing for one in rules if one.code},
        {one.name: one.thing for one in shields if one.code},
        data,
        None if isinstance(model, str) else model,
    )
    # Some attacks choose their images themselves, whatever policies the others are to try.
    chosen = dict.fromkeys(one.thing.policy for one in thieves if one.thing.policy is not None)
    theirs = [one for one in named_policies(list(chosen)) if one not in rules]
    kept = None if keep is None else str(expanded("keep", keep).absolute())
    cells = [
        Cell(
            profile, pool, attack.name, policy.name, defense.name, seed, limit, change, budget,
            network, (*_codes(attack, policy, defense), *about), own or None, kept,
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
        raise ValueError("grid: expected attacks that suit the policies and defenses, none does")
    if data is not None:
        check_pool(cells, data)
    return cells


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


def check_pool(cells: Sequence[Cell], data: Data) -> None:
    """Demand a pool that is large enough for every policy, and labels for whoever needs them.

    >>> check_pool([Cell("smoke", "noise", "naive", "random", "none", 0)], data)
    """
    for cell in cells:
        images, settings = data.pool(cell.pool), cell.settings
        takes = getattr(cell.the_policy, "takes", None)
        if takes is not None and takes(settings.budget, settings.sizes) > len(images):
            raise ValueError(
                f"budget: expected at most the {len(images)} images of the pool {cell.pool}, "
                f"got {settings.budget}"
            )
        if "pool_labels" in cell.the_attack.needs and data.labels_of(cell.pool) is None:
            raise ValueError(
                f"data: expected pool_labels of {cell.pool} for the attack {cell.attack}"
            )


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
