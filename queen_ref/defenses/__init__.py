"""Defences to compare QUEEN with: one file each, images in and probabilities out."""

from queen_ref.defenses.adaptive_misinformation import AdaptiveMisinformation, tau_for
from queen_ref.defenses.base import Defense
from queen_ref.defenses.d_add import DADD
from queen_ref.defenses.dawn import DAWN
from queen_ref.defenses.detector import Detector
from queen_ref.defenses.grad2 import GRAD2, GRAD2Keep
from queen_ref.defenses.mad import MAD
from queen_ref.defenses.modelguard_s import ModelGuardS
from queen_ref.defenses.modelguard_w import ModelGuardW
from queen_ref.defenses.none import NoDefense
from queen_ref.defenses.prada import PRADA
from queen_ref.defenses.registry import DEFENSES, make, register
from queen_ref.defenses.reverse_sigmoid import ReverseSigmoid
from queen_ref.defenses.rounding import Rounding
from queen_ref.defenses.top1 import Top1

__all__ = [
    "AdaptiveMisinformation",
    "DADD",
    "DAWN",
    "DEFENSES",
    "Defense",
    "Detector",
    "GRAD2",
    "GRAD2Keep",
    "MAD",
    "ModelGuardS",
    "ModelGuardW",
    "NoDefense",
    "PRADA",
    "ReverseSigmoid",
    "Rounding",
    "Top1",
    "make",
    "register",
    "tau_for",
]
