"""QUEEN, one file per idea: features, sensitivity, perturbation, unlearning, the whole."""

from queen_ref.queen.config import QueenConfig
from queen_ref.queen.defense import Queen
from queen_ref.queen.sensitivity import SensitivityLedger, single_query_sensitivity
from queen_ref.queen.unlearning import reverse_gradient
from queen_ref.queen.variants import Variant

__all__ = [
    "Queen",
    "QueenConfig",
    "SensitivityLedger",
    "Variant",
    "reverse_gradient",
    "single_query_sensitivity",
]
