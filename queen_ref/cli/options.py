"""Typer's `Option` and `Argument`, which describe a command's parameters.

Typer is optional. Without it they say nothing, and the commands are plain functions.
"""

from typing import Any


def _nothing(*flags: str, **words: str) -> None:
    """What stands in a signature where typer is not installed."""


Option: Any
Argument: Any
try:
    import typer
except ImportError:
    Option = Argument = _nothing
else:
    Option, Argument = typer.Option, typer.Argument
