"""Defences to compare QUEEN with: one file each, images in and probabilities out."""

from queen_ref.defenses.adaptive_misinformation import AdaptiveMisinformation, tau_for
from queen_ref.defenses.base import Defense
from queen_ref.defenses.mad import MAD
from queen_ref.defenses.modelguard_s import ModelGuardS
from queen_ref.defenses.modelguard_w import ModelGuardW
from queen_ref.defenses.none import NoDefense
from queen_ref.defenses.registry import DEFENSES, make, register
from queen_ref.defenses.reverse_sigmoid import ReverseSigmoid
from queen_ref.defenses.rounding import Rounding
from queen_ref.defenses.top1 import Top1

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
    "register",
    "tau_for",
]
