"""queen_ref: model extraction and the QUEEN defence, small enough to read.

>>> import queen_ref as qr
>>> queen = qr.Queen.fit(victim, images, labels, seed=0)
>>> api = qr.BlackBox(queen, budget=400)
>>> substitute = qr.attacks.knockoff(api, pool, budget=400, seed=0)
"""

from queen_ref import attacks, data, defenses, metrics, models, training
from queen_ref.blackbox import BlackBox, BudgetExceeded
from queen_ref.defenses import NoDefense
from queen_ref.queen import (
    Queen,
    QueenConfig,
    SensitivityLedger,
    reverse_gradient,
    single_query_sensitivity,
)
from queen_ref.training import Recipe

__version__ = "0.1.0"

__all__ = [
    "BlackBox",
    "BudgetExceeded",
    "NoDefense",
    "Queen",
    "QueenConfig",
    "Recipe",
    "SensitivityLedger",
    "attacks",
    "data",
    "defenses",
    "metrics",
    "models",
    "reverse_gradient",
    "single_query_sensitivity",
    "training",
]
