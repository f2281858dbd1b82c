"""A cell of the grid: one thief against one defence, on one cut of the data, with one seed.

Its key is a hash of everything that decides its result: two cells with one key are the same
experiment. Cells that would say nothing new are left out, as in the literature:

- no defence x adaptive attacks: there is nothing to adapt to;
- the top-1 attack where the defence keeps the label: that is the defence `top1` attacked
  naively, whatever else the answer holds;
- S4L and smoothing with anything but random queries.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from queen_ref.arena.settings import Settings, as_config, settings_of
from queen_ref.attacks import ATTACKS, POLICIES
from queen_ref.attacks.attack import ADAPTIVE
from queen_ref.checks import check_number
from queen_ref.data.profiles import PROFILES
from queen_ref.defenses import DEFENSES

# Of the key and of a line in the results file. Raise it when either means something else.
FORMAT = 1

RANDOM_ONLY = ("s4l", "smoothing")
# The defences that promise it, as `keeps_label` of a made one says (a test compares).
KEEP_LABEL = ("none", "top1", "reverse-sigmoid", "mad", "modelguard-w", "modelguard-s")


@dataclass(frozen=True)
class Cell:
    """What decides a result, in the words of the command line.

    Arguments: `limit`, images of a trial, see `settings_of`; `queen`, settings of QUEEN that are
    not the profile's, as pairs of a name and a value.

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

    @property
    def name(self) -> str:
        """The cell in words, for people."""
        trial = f", limit {self.limit}" if self.limit else ""
        defense = self.defense + "".join(f" {name}={value}" for name, value in self.queen)
        return f"{self.attack} x {self.policy} x {defense}, seed {self.seed}{trial}"

    @cached_property
    def settings(self) -> Settings:
        """What the profile fixes, cut to `limit`, with the cell's own settings of QUEEN."""
        return settings_of(self.profile, self.limit, self.queen)

    @cached_property
    def config(self) -> dict:
        """The cell with all settings spelled out, in plain numbers, words and lists."""
        preset = asdict(ATTACKS[self.attack])
        own = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        return {**own, "preset": preset, "settings": as_config(self.settings)}

    @cached_property
    def key(self) -> str:
        """20 hex digits of the SHA-256 of the configuration and the format's version.

        >>> len(Cell("cpu", "mnist", "naive", "random", "queen", seed=0).key)
        20
        """
        text = json.dumps({"format": FORMAT, **self.config}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def suits(attack: str, policy: str, defense: str) -> bool:
    """Whether the combination belongs to the grid; see the top of this file.

    >>> suits("ddae", "random", "queen"), suits("ddae", "random", "none")
    (True, False)
    """
    if defense == "none" and attack in ADAPTIVE:
        return False
    if attack == "top1" and defense in KEEP_LABEL:
        return False
    return policy == "random" or attack not in RANDOM_ONLY


def grid(
    profile: str,
    attacks: Sequence[str],
    policies: Sequence[str],
    defenses: Sequence[str],
    seeds: Sequence[int],
    pool: str | None = None,
    limit: int | None = None,
    vary: Sequence[tuple[str, object]] = (),
) -> list[Cell]:
    """The cells of a grid, seed by seed: a shared part is trained when its seed begins.

    Arguments: `pool`, the profile's own by default; `limit`, see `settings_of`; `vary`, pairs of
    a setting of QUEEN and a value: a cell for each pair, a sweep.
    Errors: `ValueError` for a name that is not known, twice the same, or nothing left to run.

    >>> len(grid("cpu", ["naive", "ddae"], ["random"], ["none", "queen"], [0, 1]))
    6
    """
    check_names("profile", [profile], PROFILES)
    check_names("attacks", attacks, tuple(ATTACKS))
    check_names("policies", policies, POLICIES)
    check_names("defenses", defenses, DEFENSES)
    for seed in seeds:
        check_number("seeds", seed, low=0, integer=True)
    check_names("seeds", seeds, tuple(seeds))
    pool = pool or settings_of(profile, limit).pool
    pools = ("tiny-imagenet", "noise") if profile == "gpu" else ("mnist", "digits", "noise")
    check_names("pool", [pool], pools)
    if vary and any(not name.startswith("queen") for name in defenses):
        raise ValueError("vary: expected defenses that are QUEEN's, its settings are varied")
    changes: list[tuple[tuple[str, object], ...]] = [(pair,) for pair in vary] or [()]
    for change in changes:
        settings_of(profile, limit, change)  # a value that QUEEN does not take is said now
    cells = [
        Cell(profile, pool, attack, policy, defense, seed, limit, change)
        for seed in seeds
        for policy in policies
        for defense in defenses
        for attack in attacks
        for change in changes
        if suits(attack, policy, defense)
    ]
    if not cells:
        raise ValueError("grid: expected attacks that suit the policies and defenses, none does")
    return cells


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
