"""Defences by name, and how one is made: anything `make(victim) -> Defense`.

An argument of `make` that is called like one of `PARTS` is given that part. What a defence
promises stands on its class, see `queen_ref.defenses.Defense`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from torch import Tensor, nn

from queen_ref.defenses.adaptive_misinformation import AdaptiveMisinformation
from queen_ref.defenses.base import Defense
from queen_ref.defenses.d_add import DADD
from queen_ref.defenses.dawn import DAWN
from queen_ref.defenses.grad2 import GRAD2, GRAD2Keep
from queen_ref.defenses.mad import MAD
from queen_ref.defenses.modelguard_s import ModelGuardS
from queen_ref.defenses.modelguard_w import ModelGuardW
from queen_ref.defenses.none import NoDefense, OutlierExposed
from queen_ref.defenses.prada import PRADA
from queen_ref.defenses.reverse_sigmoid import ReverseSigmoid
from queen_ref.defenses.rounding import Rounding
from queen_ref.defenses.top1 import Top1
from queen_ref.models import Model
from queen_ref.registry import Registry, label_of

Maker = Callable[..., Defense]  # (victim, parts it asks for) -> a defence without memory
# A fitted Queen; the two models of AM; GRAD^2's surrogate; the victim's training set; a number for
# random draws; K.
PARTS = ("queen", "outlier_exposed", "misinformation", "surrogate",
         "images", "labels", "seed", "classes")  # fmt: skip
# Whoever lacks these can do without: a surrogate is trained where none is given.
OPTIONAL = ("surrogate", "classes")


class Fitted(Protocol):
    """A fitted QUEEN, as far as `make` needs it: QUEEN stands above its rivals and imports them."""

    def with_settings(self, **changes: object) -> Defense:
        """The same defence with some settings changed and no memory."""


def variant(victim: Model, queen: Fitted, **settings: object) -> Defense:
    """QUEEN under other settings, with no memory.

    >>> strict = partial(variant, threshold=0.02)
    """
    return queen.with_settings(**settings)


def seldom(victim: Model, queen: Fitted, **settings: object) -> Defense:
    """The same, for a name that "all" leaves out.

    >>> exact = partial(seldom, answer="exact")
    """
    return variant(victim, queen, **settings)


vars(seldom)["on_request"] = True

DEFENSES: Registry[Maker] = Registry(
    "defense",
    {
        "none": NoDefense,
        "none-oe": OutlierExposed,
        "top1": Top1,
        "rounding": Rounding,
        "reverse-sigmoid": ReverseSigmoid.usual,
        "mad": MAD,
        "am": AdaptiveMisinformation.usual,
        "modelguard-w": ModelGuardW,
        "modelguard-s": ModelGuardS,
        "grad2": GRAD2,
        "grad2-keep": GRAD2Keep,
        "prada": PRADA,
        "d-add": DADD,
        "dawn": DAWN,
        "queen": partial(variant, answer="cosine"),
        # Where nothing is reversed its answers are those of "queen": it stands in old results.
        "queen-exact": partial(seldom, answer="exact"),
        # Reverse early enough to matter in small budgets.
        "queen-strict": partial(variant, answer="cosine", threshold=0.02),
        "queen-strict-exact": partial(variant, answer="exact", threshold=0.02),
        # Ours: lies with the face of honest answers; for clients who drift; and no lies for those.
        "queen-hidden": partial(seldom, answer="hidden", threshold=0.02),
        "queen-gated": partial(seldom, answer="hidden", gate="confidence"),
        "queen-abstain": partial(seldom, answer="abstain", gate="confidence"),
    },
)


def register(make: Maker, name: str | None = None) -> Maker:
    """Make a name of a defence of one's own; gives it back, so that it can stand above a class.

    Arguments: `make`, a class, a function or a `functools.partial`, (victim) -> `Defense`;
    `name`, what it calls itself by default.
    Errors: `ValueError` for a name of the package.

    >>> register(partial(Rounding, decimals=2), "rounding-2")       # doctest: +SKIP
    """
    check_maker(make)
    DEFENSES.register(label_of(make) if name is None else name, make)
    return make


def check_maker(make: Any) -> None:
    """Demand something that makes a defence of a victim, and of parts that it asks for.

    >>> check_maker(lambda images, probs: probs)
    Traceback (most recent call last):
    ValueError: defense: expected make(victim) -> Defense, got <lambda>(images, probs)
    """
    wanted = "defense: expected make(victim) -> Defense, got "
    if not callable(make):
        raise ValueError(f"{wanted}{type(make).__name__}")
    if isinstance(make, Defense):
        raise ValueError(f"{wanted}one that has its victim: give the class {type(make).__name__}")
    if inspect.isabstract(make):
        raise ValueError(f"{wanted}{label_of(make)} without a method answer(images, probs)")
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return
    try:
        signature.bind(None, **dict.fromkeys(parts_of(make)))
    except TypeError:
        raise ValueError(f"{wanted}{label_of(make)}{signature}") from None


def find(name: str | Maker) -> Maker:
    """The defence of that name; what is none goes through.

    >>> find("rounding") is find(Rounding)
    True
    """
    return name if callable(name) else DEFENSES.find(name)


def unwrapped(maker: Maker) -> tuple[Any, set[str]]:
    """What a `functools.partial`, or one of one, makes its defences with, and what it fixes.

    >>> unwrapped(partial(Rounding, decimals=2))[1]
    {'decimals'}
    """
    fixed: set[str] = set()
    while isinstance(maker, partial):
        fixed |= set(maker.keywords)
        maker = maker.func
    return maker, fixed


def parts_of(make: Maker) -> tuple[str, ...]:
    """The parts that it asks for, beside the victim.

    >>> parts_of(find("queen")), parts_of(Rounding)
    (('queen',), ())
    """
    _, given = unwrapped(make)
    try:
        asked = inspect.signature(make).parameters
    except (TypeError, ValueError):  # some callables written in C have no signature
        return ()
    return tuple(part for part in PARTS if part in asked and part not in given)


def settings_in(maker: Maker) -> tuple[str, ...]:
    """The numbers that its maker takes, beside the parts and what its name fixes already.

    >>> settings_in(find("mad")), settings_in(find("rounding"))
    (('epsilon',), ('decimals',))
    """
    inner, fixed = unwrapped(maker)
    try:
        asked = inspect.signature(inner).parameters.values()
    except (TypeError, ValueError):  # some callables written in C have no signature
        return ()
    return tuple(
        one.name
        for one in asked
        if one.name not in fixed.union(PARTS)
        and (isinstance(one.default, int | float) or one.annotation == float | None)
    )


def make(
    name: str | Maker,
    victim: Model,
    *,
    queen: Fitted | None = None,
    outlier_exposed: nn.Module | None = None,
    misinformation: nn.Module | None = None,
    surrogate: nn.Module | None = None,
    images: Tensor | None = None,
    labels: Tensor | None = None,
    seed: int = 0,
    classes: int | None = None,
) -> Defense:
    """A defence by name, in front of `victim`, with no memory and the literature's settings for K.

    `queen`, a fitted `Queen`, is needed for the names that begin with "queen";
    `outlier_exposed` and `misinformation` for "am", which has a victim of its own; `surrogate`, the
    defender's copy of a thief, for "grad2", trained here if it is missing. One's own defence
    stands in place of a name; `images` and `labels`, the victim's training set, are for
    those that ask for them; `classes`, K, for "reverse-sigmoid" and "am", where the victim does
    not say it.
    Errors: `ValueError` for an unknown name or a missing part.

    >>> make("rounding", victim)
    Rounding(decimals=1)
    """
    maker = find(name)
    word = name if isinstance(name, str) else label_of(maker)
    there = {
        "queen": queen,
        "outlier_exposed": outlier_exposed,
        "misinformation": misinformation,
        "surrogate": surrogate,
        "images": images,
        "labels": labels,
        "seed": seed,
        "classes": classes,
    }
    asked = parts_of(maker)
    missing = [part for part in asked if there[part] is None and part not in OPTIONAL]
    if missing:
        raise ValueError(f"{word}: expected {' and '.join(missing)} beside the victim, got none")
    defense = maker(victim, **{part: there[part] for part in asked})
    if not isinstance(defense, Defense):
        found = type(defense).__name__
        raise ValueError(f"{word}: expected make(victim) to give a Defense, got {found}")
    if not hasattr(defense, "victim"):
        raise ValueError(f"{word}: expected its __init__ to call super().__init__(victim)")
    if defense.stateful and defense.fresh() is defense:
        raise ValueError(f"{word}: expected fresh() to give one without memory, for it is stateful")
    return defense
