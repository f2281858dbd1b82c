"""Defences to compare QUEEN with: one file each, images in and probabilities out."""

from torch import nn

from queen_ref.checks import check_choice
from queen_ref.defenses.adaptive_misinformation import AdaptiveMisinformation
from queen_ref.defenses.base import Defense
from queen_ref.defenses.mad import MAD
from queen_ref.defenses.modelguard_s import ModelGuardS
from queen_ref.defenses.modelguard_w import ModelGuardW
from queen_ref.defenses.none import NoDefense
from queen_ref.defenses.reverse_sigmoid import ReverseSigmoid
from queen_ref.defenses.rounding import Rounding
from queen_ref.defenses.top1 import Top1

SIMPLE = {
    kind.name: kind
    for kind in (NoDefense, Top1, Rounding, ReverseSigmoid, ModelGuardW, ModelGuardS)
}
# QUEEN's settings by name; the strict one reverses early enough to matter in small budgets.
QUEENS = {
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


def make(
    name: str,
    victim: nn.Module,
    *,
    queen=None,
    outlier_exposed: nn.Module | None = None,
    misinformation: nn.Module | None = None,
    seed: int = 0,
) -> Defense:
    """A defence by name, in front of `victim`, with the settings of the comparison and no memory.

    `queen`, a fitted `Queen`, is needed for the names that begin with "queen";
    `outlier_exposed` and `misinformation` for "am", which has a victim of its own.
    Errors: `ValueError` for an unknown name or a missing part.

    >>> make("rounding", victim)
    Rounding(decimals=1)
    """
    check_choice("defense", name, DEFENSES)
    if name in SIMPLE:
        return SIMPLE[name](victim)
    if name == "mad":
        return MAD(victim, seed=seed)
    if name == "am":
        if outlier_exposed is None or misinformation is None:
            raise ValueError("am: expected outlier_exposed and misinformation, two trained models")
        return AdaptiveMisinformation(outlier_exposed, misinformation)
    if queen is None:
        raise ValueError(f"{name}: expected queen, a fitted Queen")
    return queen.with_settings(**QUEENS[name])


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
