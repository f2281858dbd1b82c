"""Training: one recipe and one loop for victim, helpers and substitute."""

from queen_ref.training.fit import batches, fit
from queen_ref.training.recipe import SUBSTITUTE, Recipe

__all__ = ["SUBSTITUTE", "Recipe", "batches", "fit"]
