"""Defences to compare QUEEN with: one file each, images in and probabilities out."""

from typing import Protocol

from torch import nn

from queen_ref.checks import check_choice, check_number
from queen_ref.defenses.adaptive_misinformation import AdaptiveMisinformation
from queen_ref.defenses.base import Defense, num_classes
from queen_ref.defenses.mad import MAD
from queen_ref.defenses.modelguard_s import ModelGuardS
from queen_ref.defenses.modelguard_w import ModelGuardW
from queen_ref.defenses.none import NoDefense
from queen_ref.defenses.reverse_sigmoid import ReverseSigmoid
from queen_ref.defenses.rounding import Rounding
from queen_ref.defenses.top1 import Top1
from queen_ref.models import Model

# Those that need nothing but the victim, by name.
ALONE: tuple[type[Defense], ...] = (NoDefense, Top1, Rounding, ModelGuardW, ModelGuardS)
SIMPLE = {kind.name: kind for kind in ALONE}
# QUEEN's settings by name; the strict one reverses early enough to matter in small budgets.
QUEENS: dict[str, dict[str, object]] = {
    "queen": dict(method="cosine"),
    "queen-exact": dict(method="exact"),
    "queen-strict": dict(method="cosine", threshold=0.02),
}
DEFENSES: tuple[str, ...] = (
    "none",
    "top1",
    "rounding",
    "reverse-sigmoid",
    "mad",
    "am",
    "modelguard-w",
    "modelguard-s",
    *QUEENS,
)


class Fitted(Protocol):
    """A fitted QUEEN, as far as `make` needs it: QUEEN stands above its rivals and imports them."""

    def with_settings(self, **changes: object) -> Defense:
        """The same defence with some settings changed and no memory."""


def make(
    name: str,
    victim: Model,
    *,
    queen: Fitted | None = None,
    outlier_exposed: nn.Module | None = None,
    misinformation: nn.Module | None = None,
    seed: int = 0,
    classes: int | None = None,
) -> Defense:
    """A defence by name, in front of `victim`, with no memory and the literature's settings for K.

    `queen`, a fitted `Queen`, is needed for the names that begin with "queen";
    `outlier_exposed` and `misinformation` for "am", which has a victim of its own; `classes`, K,
    for "reverse-sigmoid" and "am", where the victim does not say it.
    Errors: `ValueError` for an unknown name or a missing part.

    >>> make("rounding", victim)
    Rounding(decimals=1)
    """
    check_choice("defense", name, DEFENSES)
    if name in SIMPLE:
        return SIMPLE[name](victim)
    if name == "reverse-sigmoid":
        return ReverseSigmoid(victim, beta=min(0.21, 2.1 / classes_of(name, victim, classes)))
    if name == "mad":
        return MAD(victim, seed=seed)
    if name == "am":
        if outlier_exposed is None or misinformation is None:
            raise ValueError("am: expected outlier_exposed and misinformation, two trained models")
        tau = tau_for(classes_of(name, outlier_exposed, classes))
        return AdaptiveMisinformation(outlier_exposed, misinformation, tau)
    if queen is None:
        raise ValueError(f"{name}: expected queen, a fitted Queen")
    return queen.with_settings(**QUEENS[name])


def classes_of(name: str, victim: object, classes: int | None = None) -> int:
    """K of a victim: its `num_classes`, the width of its last layer, or the keyword `classes`.

    The last layer is certain where it is called `head`, or stands last in an `nn.Sequential`.
    Errors: `ValueError` where nobody says K, and where two say different ones.

    >>> classes_of("reverse-sigmoid", nn.Sequential(nn.Flatten(), nn.Linear(64, 100)))
    100
    """
    if classes is not None:
        check_number("classes", classes, low=2, integer=True)
    last = getattr(victim, "head", victim)
    while isinstance(last, nn.Sequential) and len(last):
        last = last[-1]
    known: int | None = num_classes(victim) or getattr(last, "out_features", None)
    if classes is not None and known is not None and classes != known:
        raise ValueError(f"classes: expected the victim's {known}, got {classes}")
    found = classes or known
    if found is None:
        raise ValueError(f"{name}: expected classes=K, this victim does not say how many it has")
    return found


def tau_for(classes: int) -> float:
    """The literature's tau of AM for so many classes: for 10, 100, 200, and for more.

    >>> tau_for(10), tau_for(100)
    (0.7, 0.4)
    """
    return 0.7 if classes <= 10 else 0.4 if classes <= 100 else 0.3 if classes <= 200 else 0.25


__all__ = [
    "AdaptiveMisinformation",
    "DEFENSES",
    "Defense",
    "MAD",
    "ModelGuardS",
    "ModelGuardW",
    "NoDefense",
    "ReverseSigmoid",
    "Rounding",
    "Top1",
    "make",
]
