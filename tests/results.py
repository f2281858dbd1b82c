"""A cell of the arena, and lines that a measurement of it might write. Not a test module."""

from queen_ref.arena import Cell

CELL = Cell("smoke", "mnist", "naive", "random", "none", 0)


def line(cell: Cell = CELL, total: float = 2.0, parts: float = 0.0, **values) -> dict:
    """A result as `run_cell` would give it, measured by nobody."""
    named = {name: getattr(cell, name) for name in cell.__dataclass_fields__}
    return {
        "key": cell.key,
        **{name: value for name, value in named.items() if value not in (None, ())},
        "substitute_accuracy": 0.8,
        "substitute_accuracy_best": 0.8,
        "fidelity": 0.8,
        "protected_accuracy": 0.9,
        "protected_accuracy_after": 0.9,
        "l1": 0.1,
        "queries": 150,
        "counters": {},
        "flags": [],
        "device": "cpu",
        "seconds": {"total": total, "parts": parts},
        **values,
    }


LINE = line(substitute_accuracy_best=0.85, l1=0.0, flags=["odd"])
