"""The run of a grid: what is left, what comes next, what goes into the file.

Cells that the file holds are skipped, whoever measured them. Only this process writes. With a
time limit no cell is begun that, by what cells like it took, would not end in time.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from queen_ref.arena.cells import Cell
from queen_ref.arena.clock import Clock
from queen_ref.arena.display import Display
from queen_ref.arena.engines import Engine
from queen_ref.arena.results import Results


@dataclass
class RunSummary:
    """How a run ended: cells measured by it, cells that failed, cells not begun."""

    done: list[Cell] = field(default_factory=list)
    failed: list[tuple[Cell, Exception]] = field(default_factory=list)
    left: list[Cell] = field(default_factory=list)


def run_grid(
    cells: Sequence[Cell],
    results: Results,
    engine: Engine,
    time_limit: float | None = None,
    show: Display | None = None,
) -> RunSummary:
    """Measure every cell that the file does not hold; a cell that fails does not end the run.

    Arguments: `time_limit` in seconds from now; `show`, what tells of the progress, on stderr
    by default. Errors: `ValueError` if the file cannot be written.

    >>> cells = [Cell("smoke", "mnist", "naive", "random", "none", seed=0)]
    >>> summary = run_grid(cells, Results("mine.jsonl"), Local("parts"))
    """
    begun = time.monotonic()
    wanted = {cell.key: cell for cell in cells}
    clock = Clock([line for line in results.lines.values() if "seconds" in line])
    summary = RunSummary()
    running: dict[Any, Cell] = {}  # by the engine's handle
    todo = [cell for key, cell in wanted.items() if key not in results]
    display = show or Display(len(cells))
    display.begin(len(cells) - len(todo))

    def fits(cell: Cell) -> bool:
        if time_limit is None:
            return True
        remaining = time_limit - (time.monotonic() - begun)
        return remaining > 0 and (clock.estimate(cell) or 0.0) <= remaining

    def next_cell() -> Cell | None:
        if todo:
            results.refresh()  # another run may share the file
            for cell in [cell for cell in todo if cell.key in results]:
                todo.remove(cell)
                display.skip()
        chosen = next((cell for cell in todo if fits(cell)), None)
        if chosen is not None:
            todo.remove(chosen)
        return chosen

    try:
        while True:
            while len(running) < engine.slots and (cell := next_cell()) is not None:
                running[engine.submit(cell)] = cell
            if not running:
                break
            for handle, outcome in engine.wait(list(running)):
                cell = running.pop(handle)
                if isinstance(outcome, Exception):
                    summary.failed.append((cell, outcome))
                    display.failed(cell, outcome)
                    continue
                clock.learn(outcome)
                results.append(outcome)
                summary.done.append(cell)
                open_cells = [*todo, *running.values()]
                display.done(cell, outcome, clock.total(open_cells, engine.slots))
    finally:
        display.end()
        engine.close()
    summary.left = todo
    return summary
