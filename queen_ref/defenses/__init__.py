"""Defences to compare QUEEN with: one file each, images in and probabilities out."""

from queen_ref.defenses.none import NoDefense

__all__ = ["NoDefense"]
