"""Attacks: a query policy and the training of a substitute."""

from queen_ref.attacks.policies import random_queries
from queen_ref.attacks.substitutes import ask, knockoff, train_substitute

__all__ = ["ask", "knockoff", "random_queries", "train_substitute"]
