"""Methods by name: what the package brings, and what a reader registers beside it.

Nothing else lists names. What a method can do stands on the method itself (`says`), so a new one
is one file and one line.
"""

from collections.abc import Mapping
from functools import partial
from types import FunctionType
from typing import Any, TypeVar

T = TypeVar("T")
GROUPS = ("all", "every")  # words for several names: the usual ones, and really all


class Registry(dict[str, T]):
    """A dict of methods in their order. The package's own names stay what they are.

    Arguments: `what` they are, for error messages; `built_in`, those of the package.

    >>> colours = Registry("colour", {"red": 1})
    >>> colours.register("green", 2), colours.find("green"), list(colours)
    (None, 2, ['red', 'green'])
    """

    def __init__(self, what: str, built_in: Mapping[str, T]):
        super().__init__(built_in)
        self.what, self.built_in = what, frozenset(built_in)
        self.taken = self.built_in

    @property
    def usual(self) -> list[str]:
        """The names that "all" stands for: those that nobody has marked `on_request`.

        >>> Registry("colour", {"red": 1}).usual
        ['red']
        """
        return [name for name, thing in self.items() if not says(thing, "on_request", False)]

    def bring(self, name: str, thing: T) -> None:
        """Add one of the package's own, from a room above the one with the list."""
        self[name] = thing
        self.taken |= {name}

    def register(self, name: str, thing: T) -> None:
        """Add one's own, or put a changed one in its place.

        Errors: `ValueError` for a name of the package, or one that no command line could hold.
        """
        self.check_own(name)
        self[name] = thing

    def check_own(self, name: object) -> None:
        """Demand a name that may be one's own."""
        if not isinstance(name, str) or not name.strip() or name in GROUPS or "," in name:
            raise ValueError(f"{self.what}: expected a name without a comma, got {name!r}")
        if name in self.taken:
            raise ValueError(f"{self.what}: expected a name of its own, {name!r} is the package's")

    def find(self, name: str) -> T:
        """The method of that name; `ValueError` that lists the names there are."""
        if not isinstance(name, str) or name not in self:
            words = ", ".join(repr(word) for word in self)
            raise ValueError(f"{self.what}: expected one of {words}, got {name!r}")
        return self[name]


def kind_of(thing: Any) -> Any:
    """Who speaks for a method: the class behind `functools.partial` and behind a class method.

    >>> kind_of(partial(int, base=2))
    <class 'int'>
    """
    while isinstance(thing, partial):
        thing = thing.func
    owner = getattr(thing, "__self__", None)
    return owner if isinstance(owner, type) else thing


def says(thing: Any, name: str, default: Any) -> Any:
    """What a method says of itself under that name, or `default` where it says nothing.

    >>> says(int, "needs", ())
    ()
    """
    return getattr(kind_of(thing), name, default)


def label_of(thing: Any) -> str:
    """A method in a word, its plain settings after it: what a table shows.

    >>> label_of(partial(int, base=2)), label_of(label_of)
    ('int(base=2)', 'label_of')
    """
    settings: list[str] = []
    while isinstance(thing, partial):
        given = [f"{key}={_short(value)}" for key, value in thing.keywords.items()]
        settings = [*map(_short, thing.args), *given, *settings]
        thing = thing.func
    kind = kind_of(thing)
    if not isinstance(kind, type | FunctionType):  # an object, by what it was made with
        kept = getattr(kind, "__dict__", {})
        settings += [f"{key}={value}" for key, value in kept.items() if _is_plain(key, value)]
    own = getattr(kind, "name", None)
    name = own if isinstance(own, str) else getattr(kind, "__name__", type(kind).__name__)
    return str(name) + (f"({', '.join(settings)})" if settings else "")


def _is_plain(name: str, value: object) -> bool:
    plain = isinstance(value, bool | int | float | str)
    return plain and not name.startswith("_") and name != "name"


def _short(value: object) -> str:
    if isinstance(value, bool | int | float | str):
        return str(value)
    return label_of(value) if callable(value) else type(value).__name__
