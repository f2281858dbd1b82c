"""How long cells will take, judged by those that were measured."""

from collections.abc import Sequence
from statistics import mean

from queen_ref.arena.cells import Cell


class Clock:
    """How long a cell will take: `estimate` in seconds, or None where nothing tells.

    Cells of the same attack and policy count, the slowest of them; those of this run if there
    are any, for the file may come from another machine. Where there is none, the slowest cell
    of this profile. A seed not begun yet trains its shared parts first.

    Arguments: `lines`, results of earlier runs.

    >>> clock = Clock([{"attack": "naive", "policy": "random", "profile": "cpu", "seed": 0,
    ...                 "seconds": {"total": 9.0, "parts": 1.0}}])
    >>> clock.estimate(Cell("cpu", "mnist", "naive", "random", "queen", 0))
    9.0
    """

    def __init__(self, lines: Sequence[dict] = ()):
        self.before: list[dict] = list(lines)
        self.now: list[dict] = []

    def learn(self, line: dict) -> None:
        """A cell of this run was measured."""
        self.now.append(line)

    def estimate(self, cell: Cell) -> float | None:
        """Seconds that the cell takes if it is as slow as the slowest of its kind."""
        for lines in (self.now, self.before):
            alike = self._bare(lines, cell, ("profile", "attack", "policy"))
            if alike:
                return max(alike) + self._parts(cell)
        anything = self._bare(self.now + self.before, cell, ("profile",))
        return max(anything) + self._parts(cell) if anything else None

    def typical(self, cell: Cell) -> float | None:
        """The mean, where `estimate` takes the slowest: errors of a sum cancel out."""
        lines = self.now or self.before
        alike = self._bare(lines, cell, ("profile", "attack", "policy"))
        alike = alike or self._bare(lines, cell, ("profile",))
        return mean(alike) if alike else None

    def total(self, cells: Sequence[Cell], slots: int) -> float | None:
        """Seconds that all these cells will take, `slots` at a time."""
        known = [seconds for cell in cells if (seconds := self.typical(cell)) is not None]
        if not known:
            return 0.0 if not cells else None
        return mean(known) * len(cells) / slots

    @staticmethod
    def _bare(lines: Sequence[dict], cell: Cell, same: Sequence[str]) -> list[float]:
        """Seconds without those of shared parts, of the lines that agree with the cell."""
        return [
            line["seconds"]["total"] - line["seconds"]["parts"]
            for line in lines
            if all(line[name] == getattr(cell, name) for name in same)
        ]

    def _parts(self, cell: Cell) -> float:
        """Seconds for the shared parts of the cell's seed: none if this run has begun it."""
        if any(line["seed"] == cell.seed for line in self.now):
            return 0.0
        costs: dict[int, float] = {}
        for line in self.now + self.before:
            if line["profile"] == cell.profile:
                costs[line["seed"]] = costs.get(line["seed"], 0.0) + line["seconds"]["parts"]
        return max(costs.values(), default=0.0)
