"""The arena: every attack against every defence, over seeds, resumable, on one machine or many."""

from queen_ref.arena.cells import FORMAT, Cell
from queen_ref.arena.grid import grid
from queen_ref.arena.measure import run_cell
from queen_ref.arena.plugins import load_plugin
from queen_ref.arena.report import pareto_front, summarise, to_csv, with_labels
from queen_ref.arena.results import Results, read
from queen_ref.arena.run import RunSummary, run, run_grid
from queen_ref.arena.settings import Settings, settings_of
from queen_ref.arena.tables import to_markdown
from queen_ref.cache import Cache

__all__ = [
    "FORMAT",
    "Cache",
    "Cell",
    "Results",
    "RunSummary",
    "Settings",
    "grid",
    "load_plugin",
    "pareto_front",
    "read",
    "run",
    "run_cell",
    "run_grid",
    "settings_of",
    "summarise",
    "to_csv",
    "to_markdown",
    "with_labels",
]
