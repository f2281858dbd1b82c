"""The command `queen-ref`."""

from queen_ref.cli.app import main

__all__ = ["main"]
