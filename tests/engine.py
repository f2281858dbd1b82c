"""An engine that measures nothing, and what a run with it needs. Not a test module."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from results import CELL, line

from queen_ref.arena import Cell
from queen_ref.arena.display import Display

TWELVE = [
    replace(CELL, attack=attack, seed=seed)
    for seed in range(4)
    for attack in ("naive", "s4l", "top1")
]


class Fake:
    """An engine that measures nothing, one cell at a time."""

    slots = 1

    def __init__(self, run=line):
        self.run, self.seen, self.closed = run, [], False

    def submit(self, cell):
        self.seen.append(cell)
        return cell

    def wait(self, handles):
        try:
            return [(handles[0], self.run(handles[0]))]
        except Exception as error:
            return [(handles[0], error)]

    def close(self):
        self.closed = True


class Quiet(Display):
    """Says nothing."""

    def say(self, text):
        pass


def run_or_fail(cell: Cell, cache: str | None) -> dict:
    """What an engine may carry to a process of its own: s4l fails."""
    if cell.attack == "s4l":
        raise RuntimeError("out of luck")
    return line(cell, process=os.getpid(), cache=cache)


def be_killed(cell: Cell, cache: str | None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(cell: Cell, cache: str | None) -> dict:
    """top1 is killed the first time, s4l always; `cache` is the folder that remembers."""
    mark = Path(cache or ".") / cell.key
    with open(mark, "a") as file:
        file.write("x")
    if cell.attack == "s4l" or (cell.attack == "top1" and mark.stat().st_size == 1):
        be_killed(cell, cache)
    return line(cell, begun=mark.stat().st_size)


def sleep_long(cell: Cell, cache: str | None) -> None:
    """Says who it is in the folder `cache`, and never ends."""
    (Path(cache or ".") / "pid").write_text(str(os.getpid()))
    time.sleep(600)


def wait_for_lines(path: Path, count: int, alive: Callable[[], bool]) -> None:
    """Until a file holds so many whole lines, or nobody is left who would write them."""
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        if not alive():
            return
        time.sleep(0.01)
