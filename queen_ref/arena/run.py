"""The run of a grid: what is left, what comes next, what goes into the file.

Cells that the file holds are skipped, whoever measured them. Only this process writes. With a
time limit no cell is begun that, by what cells like it took, would not end in time.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean

from queen_ref.arena.cells import Cell
from queen_ref.arena.engines import Engine
from queen_ref.arena.results import Results
from queen_ref.progress import in_words


@dataclass
class Report:
    """How a run ended: cells measured by it, cells that failed, cells not begun."""

    done: list[Cell] = field(default_factory=list)
    failed: list[tuple[Cell, Exception]] = field(default_factory=list)
    left: list[Cell] = field(default_factory=list)


class Clock:
    """How long a cell will take, judged by those measured: `estimate` in seconds, or None.

    Cells of the same attack and policy count, the slowest of them; those of this run if there
    are any, for the file may come from another machine. Where there is none, the slowest cell
    of this profile. A seed not begun yet trains its shared parts first.

    >>> clock = Clock([{"attack": "naive", "policy": "random", "profile": "cpu", "seed": 0,
    ...                 "seconds": {"total": 9.0, "parts": 1.0}}])
    >>> clock.estimate(Cell("cpu", "mnist", "naive", "random", "queen", 0))
    9.0
    """

    def __init__(self, lines: Sequence[dict] = ()):
        self.before, self.now = list(lines), []

    def learn(self, line: dict) -> None:
        self.now.append(line)

    def estimate(self, cell: Cell) -> float | None:
        for lines in (self.now, self.before):
            alike = self._bare(lines, cell, ("profile", "attack", "policy"))
            if alike:
                return max(alike) + self._parts(cell)
        anything = self._bare(self.now + self.before, cell, ("profile",))
        return max(anything) + self._parts(cell) if anything else None

    def total(self, cells: Sequence[Cell], slots: int) -> float | None:
        """Seconds that all these cells will take, `slots` at a time."""
        known = [seconds for cell in cells if (seconds := self.typical(cell)) is not None]
        if not known:
            return 0.0 if not cells else None
        return mean(known) * len(cells) / slots

    def typical(self, cell: Cell) -> float | None:
        """The mean, where `estimate` takes the slowest: errors of a sum cancel out."""
        lines = self.now or self.before
        alike = self._bare(lines, cell, ("profile", "attack", "policy"))
        alike = alike or self._bare(lines, cell, ("profile",))
        return mean(alike) if alike else None

    @staticmethod
    def _bare(lines: Sequence[dict], cell: Cell, same: Sequence[str]) -> list[float]:
        return [
            line["seconds"]["total"] - line["seconds"]["parts"]
            for line in lines
            if all(line[name] == getattr(cell, name) for name in same)
        ]

    def _parts(self, cell: Cell) -> float:
        if any(line["seed"] == cell.seed for line in self.now):
            return 0.0
        costs: dict[int, float] = {}
        for line in self.now + self.before:
            if line["profile"] == cell.profile:
                costs[line["seed"]] = costs.get(line["seed"], 0.0) + line["seconds"]["parts"]
        return max(costs.values(), default=0.0)


def run_grid(
    cells: Sequence[Cell],
    results: Results,
    engine: Engine,
    time_limit: float | None = None,
    show: "Display | None" = None,
) -> Report:
    """Measure every cell that the file does not hold; `time_limit` in seconds from now.

    Errors: `ValueError` if the file cannot be written. A cell that fails does not end the run.

    >>> cells = [Cell("smoke", "mnist", "naive", "random", "none", seed=0)]
    >>> report = run_grid(cells, Results("mine.jsonl"), Here("parts"))
    """
    begun = time.monotonic()
    wanted = {cell.key(): cell for cell in cells}
    clock = Clock([line for key, line in results.lines.items() if "seconds" in line])
    report, running = Report(), {}
    todo = [cell for key, cell in wanted.items() if key not in results]
    show = show or Display(len(cells))
    show.begin(len(cells) - len(todo))

    def fits(cell: Cell) -> bool:
        if time_limit is None:
            return True
        remaining = time_limit - (time.monotonic() - begun)
        return remaining > 0 and (clock.estimate(cell) or 0.0) <= remaining

    def next_cell() -> Cell | None:
        if todo:
            results.refresh()  # another run may share the file
            for cell in [cell for cell in todo if cell.key() in results]:
                todo.remove(cell)
                show.skip()
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
                    report.failed.append((cell, outcome))
                    show.failed(cell, outcome)
                    continue
                clock.learn(outcome)
                results.append(outcome)
                report.done.append(cell)
                open_cells = [*todo, *running.values()]
                show.done(cell, outcome, clock.total(open_cells, engine.slots))
    finally:
        show.end()
        engine.close()
    report.left = todo
    return report


class Display:
    """A bar with the time left where stderr is a terminal, else a plain line a cell."""

    def __init__(self, total: int, stream=None, say: Callable[[str], None] | None = None):
        self.total, self.stream, self.bar, self.count = total, stream or sys.stderr, None, 0
        self.say = say or self._write

    def begin(self, already: int) -> None:
        self.count = already
        if self.stream.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                tqdm = None
            if tqdm is not None:
                # Our own estimate: tqdm's takes every cell for an average one.
                form = "{percentage:3.0f}% |{bar}| {n}/{total} cells, {elapsed}{postfix}"
                self.bar = tqdm(
                    total=self.total,
                    initial=already,
                    file=self.stream,
                    bar_format=form,
                    disable=False,
                )
        if already:
            self.say(f"{already} of {self.total} cells are in the file already")

    def skip(self) -> None:
        self.count += 1
        if self.bar is not None:
            self.bar.update()

    def done(self, cell: Cell, line: dict, left: float | None) -> None:
        self.count += 1
        rest = "" if not left else f"; about {in_words(left)} left"
        took = line["seconds"]["total"]
        if self.bar is not None:
            self.bar.set_postfix_str(f"{cell.name}{rest}", refresh=False)
            self.bar.update()
            return
        self.say(
            f"[{self.count}/{self.total}] {cell.name}: "
            f"substitute {line['substitute_accuracy']:.3f}, {took:.1f} s{rest}"
        )

    def failed(self, cell: Cell, error: Exception) -> None:
        text = str(error).strip().splitlines()
        self.say(f"FAILED {cell.name}: {type(error).__name__}: {text[0] if text else ''}")

    def end(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _write(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)
