"""Attacks: a query policy, a label recovery and the training of a substitute."""

from queen_ref.attacks.asking import ask
from queen_ref.attacks.attack import Theft, steal
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.policies import random_queries
from queen_ref.attacks.registry import ATTACKS, POLICIES, Attack, register, register_policy
from queen_ref.attacks.training import knockoff, train_substitute

__all__ = [
    "ATTACKS",
    "POLICIES",
    "Attack",
    "Knowledge",
    "Sizes",
    "Theft",
    "ask",
    "knockoff",
    "random_queries",
    "register",
    "register_policy",
    "steal",
    "train_substitute",
]
