"""A cell of the grid: one thief against one defence, on one cut of the data, with one seed.

Its key is a hash of everything that decides its result: two cells with one key are the same
experiment. Of one's own methods, data and network that is their code and content, too.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from queen_ref.arena.own import Own
from queen_ref.arena.settings import Settings, as_config, settings_of
from queen_ref.attacks.policies import Policy
from queen_ref.attacks.registry import ATTACKS, POLICIES, Attack
from queen_ref.data.profiles import Data
from queen_ref.defenses.registry import Maker, find
from queen_ref.registry import says

# Of the key and of a line in the results file. Raise it when either means something else.
FORMAT = 1


@dataclass(frozen=True)
class Cell:
    """What decides a result, in the words of the command line.

    Arguments: `limit`, images of a trial, see `settings_of`; `queen`, settings of QUEEN that are
    not the profile's, as pairs of a name and a value; `budget`, if it is not the profile's;
    `model`, a network's name if it is not the profile's; `recipe`, what the thief's training has
    that is not the profile's, as pairs; `setting`, the same of a defence that is not QUEEN's;
    `code`, pairs of a word, "attack", "policy", "defense", "model" or "data", and a hash of what
    is one's own; `own`, the objects
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
    recipe: tuple[tuple[str, object], ...] = ()
    setting: tuple[tuple[str, object], ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    own: Own | None = field(default=None, compare=False, repr=False)
    keep: str | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The cell in words, for people."""
        trial = f", limit {self.limit}" if self.limit else ""
        budget = f", budget {self.budget}" if self.budget else ""
        changed = (*self.queen, *self.setting)
        defense = self.defense + "".join(f" {name}={value}" for name, value in changed)
        recipe = "".join(f", {name} {value}" for name, value in self.recipe)
        return f"{self.attack} x {self.policy} x {defense}, seed {self.seed}{trial}{budget}{recipe}"

    @cached_property
    def settings(self) -> Settings:
        """What the profile fixes, cut to `limit`, with what is the cell's own."""
        own = self.queen, self.budget, self.model, self.recipe
        return settings_of(self.profile, self.limit, *own)

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
        maker = own[self.defense] if self.defense in own else find(self.defense)
        return partial(maker, **dict(self.setting)) if self.setting else maker

    @cached_property
    def config(self) -> dict:
        """The cell with all settings spelled out, in plain numbers, words and lists."""
        attack = self.the_attack
        words = ("profile", "pool", "attack", "policy", "defense", "seed", "limit", "queen")
        kept = {name: getattr(self, name) for name in (*words, "budget", "model", "setting")}
        own: dict[str, Any] = {k: value for k, value in kept.items() if value not in (None, ())}
        if self.code:
            own["code"] = dict(self.code)
        recovery = attack.recovery if isinstance(attack.recovery, str) else self.attack
        preset: dict[str, Any] = {"recovery": recovery, "training": attack.training}
        if attack.policy is not None:
            preset["policy"] = attack.policy
        # An attack that was changed, and what scales it alone: other cells keep their keys.
        if (edition := says(attack.method, "edition", None)) is not None:
            preset["edition"] = edition
        for name in says(attack.method, "scaled_by", ()):
            preset[name] = getattr(self.settings.sizes, name)
        return {**own, "preset": preset, "settings": as_config(self.settings)}

    @cached_property
    def key(self) -> str:
        """20 hex digits of the SHA-256 of the configuration and the format's version.

        >>> len(Cell("cpu", "mnist", "naive", "random", "queen", seed=0).key)
        20
        """
        text = json.dumps({"format": FORMAT, **self.config}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


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
