"""The run of a grid: what is left, what comes next, what goes into the file.

Cells that the file holds are skipped, whoever measured them. Only this process writes. With a
time limit no cell is begun that, by what cells like it took, would not end in time.

`run` is the whole from Python, as `queen-ref arena` is from the shell.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from queen_ref.arena.cells import Cell, check_pool
from queen_ref.arena.clock import Clock
from queen_ref.arena.display import Display
from queen_ref.arena.engines import Engine, Local, Processes
from queen_ref.arena.grid import grid
from queen_ref.arena.keep import check_keep
from queen_ref.arena.results import Results
from queen_ref.attacks.registry import ATTACKS, POLICIES
from queen_ref.cache import Cache
from queen_ref.checks import check_number
from queen_ref.data.profiles import Data, load
from queen_ref.defenses.registry import DEFENSES
from queen_ref.models import Builder, build


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


def check_before(cells: Sequence[Cell], data: Data) -> None:
    """Demand what can be known before the first cell: a large enough pool, a network that fits.

    >>> check_before([Cell("smoke", "noise", "naive", "random", "none", 0)], data)
    """
    check_pool(cells, data)
    if (model := cells[0].brought.model) is not None:
        build(model, data.shape, data.num_classes, cells[0].seed)


def run(
    out: str | Path,
    *,
    profile: str = "cpu",
    data: Data | None = None,
    model: str | Builder | None = None,
    attacks: Sequence[Any] | None = None,
    policies: Sequence[Any] | None = None,
    defenses: Sequence[Any] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    budget: int | None = None,
    workers: int = 1,
    cache: str | Path | None = None,
    keep: str | Path | None = None,
    recipe: Mapping[str, object] | None = None,
) -> list[dict]:
    """Measure every attack against every defence that the file `out` does not hold; its lines.

    Arguments: `attacks`, `policies`, `defenses`, names and objects mixed, all names by default: an
    `Attack` or a recovery, a function (ask, pool, budget, train, seed) -> images, answers, and
    whatever makes a `Defense` of a victim; `data`, images of one's own in place of the profile's,
    the same for every seed, with `data.model` as the victim's network; `model`, another network, a
    name or (shape, num_classes, seed) -> `Victim`; `budget`, queries of a thief, the profile's by
    default; `workers`, processes; `cache`, the folder of trained parts; `keep`, a folder for each
    cell's substitute, transfer set and curve, see `queen_ref.arena.keep`; `recipe`, what the
    thief's training has that is not the profile's, as {"epochs": 30, "schedule": "cosine"}, names
    of `queen_ref.training.Recipe`; a line's `curve` has the accuracy after each epoch.
    Errors: `ValueError` before anything is measured; `RuntimeError` if cells failed, when the
    others are in the file: the same call tries only those again.

    >>> import functools
    >>> rows = run("mine.jsonl", profile="smoke", attacks=["naive"], policies=["random"],
    ...            defenses=["none", functools.partial(Rounding, decimals=2)], seeds=[0])
    >>> [row["defense"] for row in rows]
    ['none', 'rounding(decimals=2)']
    """
    check_number("workers", workers, low=1, integer=True)
    thieves = ATTACKS.usual if attacks is None else attacks
    if attacks is None and isinstance(data, Data) and not data.pool_labels:
        thieves = [name for name in thieves if "pool_labels" not in ATTACKS[name].needs]
    rules = POLICIES.usual if policies is None else policies
    shields = DEFENSES.usual if defenses is None else defenses
    wanted = grid(
        profile, thieves, rules, shields, seeds,
        budget=budget, data=data, model=model, keep=keep, recipe=recipe,
    )  # fmt: skip
    # What is missing, or is no victim, is said before any cell.
    images = load(profile, seeds[0]) if data is None else data
    check_before(wanted, images)
    results = Results(out)
    results.check_writable()
    check_keep(keep, wanted, list(results.lines))
    folder = str(Cache(cache).folder.expanduser().absolute())
    own = wanted[0].own
    engine = Local(folder) if workers == 1 else Processes(workers, folder, own=own)
    results.open_for_append()
    summary = run_grid(wanted, results, engine)
    if summary.failed:
        cell, error = summary.failed[0]
        failed, others = len(summary.failed), len(wanted) - len(summary.failed)
        raise RuntimeError(
            f"{failed} of {len(wanted)} cells failed"
            + (f", the others are in {out}" if others else "")
            + f"; the first: {cell.name}: {type(error).__name__}: {error}"
        ) from error
    return [results.lines[cell.key] for cell in wanted]
