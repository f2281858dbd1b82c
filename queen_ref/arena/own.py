"""What a reader brings along to a grid: methods, data, a network; and how they reach a worker."""

import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from queen_ref.arena.code import code_of
from queen_ref.arena.plugins import Plugin, plugin_of
from queen_ref.attacks.policies import Policy
from queen_ref.attacks.registry import ATTACKS, POLICIES, Attack, check_policy
from queen_ref.checks import check_images, check_labels
from queen_ref.data.profiles import Data
from queen_ref.defenses.registry import DEFENSES, Maker, check_maker
from queen_ref.models import Builder
from queen_ref.registry import Registry, label_of

T = TypeVar("T")


@dataclass(frozen=True)
class Own:
    """Objects by the names that cells call them; `data` and `model` are for all cells alike.

    >>> Own().data is None
    True
    """

    attacks: Mapping[str, Attack] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    defenses: Mapping[str, Maker] = field(default_factory=dict)
    data: Data | None = None
    model: Builder | None = None

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return any(value for value in (self.attacks, self.policies, self.defenses)) or not (
            self.data is None and self.model is None
        )

    @property
    def things(self) -> list[Any]:
        """All methods of it, one after the other."""
        recoveries = [attack.recovery for attack in self.attacks.values()]
        return [*recoveries, *self.policies.values(), *self.defenses.values(), self.model]


@dataclass(frozen=True)
class Named(Generic[T]):
    """A method as cells call it: its name, itself, and its code if it is one's own, else ""."""

    name: str
    thing: T
    code: str = ""


def named_attacks(given: Sequence[Any]) -> list[Named[Attack]]:
    """Attacks by name or as objects, a recovery alone among them.

    >>> [(one.name, one.code) for one in named_attacks(["naive"])]
    [('naive', '')]
    """
    whole = [a if isinstance(a, str | Attack) else Attack(a) for a in given]
    return [_named("attacks", one, ATTACKS) for one in whole]


def named_policies(given: Sequence[Any]) -> list[Named[Policy]]:
    """Policies by name or as functions."""
    for policy in given:
        if not isinstance(policy, str):
            check_policy(policy)
    return [_named("policies", one, POLICIES) for one in given]


def named_defenses(given: Sequence[Any]) -> list[Named[Maker]]:
    """Defences by name or as whatever makes one."""
    for one in given:
        if not isinstance(one, str) and not callable(one):
            raise ValueError(
                f"defenses: expected names, or make(victim) -> Defense, got {type(one).__name__}"
            )
        if not isinstance(one, str):
            check_maker(one)
    return [_named("defenses", one, DEFENSES) for one in given]


def _named(what: str, given: Any, known: Registry) -> Named:
    if isinstance(given, str):
        if given not in known:
            raise ValueError(f"{what}: expected some of {', '.join(known)}, got {given!r}")
        return Named(given, known[given], "" if given in known.built_in else code_of(known[given]))
    for name in known.built_in:
        if known[name] is given or (isinstance(given, Attack) and known[name] == given):
            return Named(name, given)
    word = given.name if isinstance(given, Attack) else label_of(given)
    if word in known.taken:
        raise ValueError(f"{what}: expected a name of its own, {word!r} is the package's")
    return Named(word, given, code_of(given))


def check_data(data: object) -> Data:
    """Demand `Data` whose parts fit together: one shape, labels of one numbering, a pool.

    >>> check_data([images, labels])
    Traceback (most recent call last):
    ValueError: data: expected a queen_ref.data.Data, got list
    """
    if not isinstance(data, Data):
        raise ValueError(f"data: expected a queen_ref.data.Data, got {type(data).__name__}")
    if not isinstance(data.pools, dict):
        raise ValueError(f"data: expected pools {{name: images}}, got {type(data.pools).__name__}")
    if not data.pools:
        raise ValueError("data: expected at least one pool of images that the thief may send")
    for part in ("train", "test"):
        pair = getattr(data, part)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"data: {part}: expected (images, labels), got {type(pair).__name__}")
        images, labels = pair
        try:
            check_images(images)
            check_images(images, data.shape, data.train[0].dtype)
            check_labels(labels, len(images), data.num_classes if part == "test" else None)
        except ValueError as error:
            raise ValueError(f"data: {part}: {error}") from None
    missing = set(range(data.num_classes)) - set(data.train[1].tolist())
    if missing:
        raise ValueError(
            f"data: train: expected labels from 0 to {data.num_classes - 1}, each at least once, "
            f"got none of {min(missing)}"
        )
    for name, pool in data.pools.items():
        try:
            check_images(pool, data.shape, data.train[0].dtype)
            if name in data.pool_labels:
                check_labels(data.pool_labels[name], len(pool))
        except ValueError as error:
            raise ValueError(f"data: pool {name}: {error}") from None
    return data


@dataclass(frozen=True)
class Packed:
    """What a run brought along, as bytes, and the plugins that must be loaded before.

    >>> Packed.of(Own()).unpack().data is None
    True
    """

    objects: bytes
    plugins: tuple[Plugin, ...] = ()

    @classmethod
    def of(cls, own: Own) -> "Packed":
        """Errors: `ValueError` for what no other process could have, as what a notebook defines."""
        modules = {module for thing in own.things for module in _modules(thing)}
        alone = not hasattr(sys.modules["__main__"], "__file__")
        try:
            objects = pickle.dumps(own)
        except Exception as error:  # pickle has several kinds
            raise ValueError(f"{UNREACHABLE} ({error})") from None
        if alone and "__main__" in modules:
            raise ValueError(f"{UNREACHABLE} (one is defined in this notebook)")
        found = (plugin_of(module) for module in sorted(modules))
        return cls(objects, tuple(plugin for plugin in found if plugin is not None))

    def unpack(self) -> Own:
        """The objects, in whatever process."""
        for plugin in self.plugins:
            if plugin_of(plugin.module) != plugin:
                plugin.load()
        return pickle.loads(self.objects)


@lru_cache(maxsize=1)
def unpacked(packed: Packed) -> Own:
    """`packed.unpack()`, once for all cells of a worker.

    >>> unpacked(Packed.of(Own())).model is None
    True
    """
    return packed.unpack()


UNREACHABLE = (
    "workers: expected methods that another process can import; write them into a file, and "
    "import it or name it with --plugin, or take workers=1"
)


def _modules(thing: Any) -> set[str]:
    """Modules that a method comes from."""
    found: set[str] = set()
    while isinstance(thing, partial):
        for value in [*thing.args, *thing.keywords.values()]:
            found |= _modules(value)
        thing = thing.func
    for one in (thing, type(thing), getattr(thing, "__self__", None)):
        module = getattr(one, "__module__", None)
        if isinstance(module, str):
            found.add(module)
    return found
