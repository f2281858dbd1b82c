"""Training: one loop for victim, helpers and substitute."""

from queen_ref.training.fit import batches, fit

__all__ = ["batches", "fit"]
