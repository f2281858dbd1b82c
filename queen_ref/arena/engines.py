"""Where cells are computed: in this process, or in processes beside this one.

An engine takes cells and gives back outcomes; it writes nothing. `slots` is how many cells it
works on at a time. An outcome is a result or the exception that ended the cell. The engine for
several machines is in `queen_ref.arena.cluster`.
"""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from typing import Any, Protocol

from queen_ref.arena.cells import Cell
from queen_ref.arena.measure import run_cell
from queen_ref.arena.own import Own, Packed, unpacked
from queen_ref.cache import Cache

Outcome = dict | Exception
Run = Callable[[Cell, str | None], dict]
_PACKED: list[Packed] = []  # in a worker: what its run brought along
AGAIN = 2  # times that a cell begins anew after its process died


class Engine(Protocol):
    """What `queen_ref.arena.run` needs of an engine."""

    @property
    def slots(self) -> int:
        """Cells it works on at a time."""

    def submit(self, cell: Cell) -> Any:
        """Begin a cell; returns a handle."""

    def wait(self, handles: list) -> list[tuple[Any, Outcome]]:
        """Block until at least one is done; those that are, with their outcomes."""

    def close(self) -> None:
        """End what is still running."""


class Local:
    """One cell after another in this process.

    >>> engine = Local("parts")
    >>> cell = Cell("smoke", "mnist", "naive", "random", "none", seed=0)
    >>> 0 <= engine.wait([engine.submit(cell)])[0][1]["substitute_accuracy"] <= 1
    True
    """

    slots = 1

    def __init__(self, cache: str | None = None, run: Run | None = None):
        self.cache, self.run = cache, run or run_in

    def submit(self, cell: Cell) -> Cell:
        return cell

    def wait(self, handles: list[Cell]) -> list[tuple[Cell, Outcome]]:
        cell = handles[0]
        return [(cell, outcome_of(lambda: self.run(cell, self.cache)))]

    def close(self) -> None:
        pass


@dataclass(eq=False)
class Job:
    """A cell in a process: its future, the pool it runs in, and how often its process died."""

    cell: Cell
    future: Future
    pool: ProcessPoolExecutor
    deaths: int = 0


class Processes:
    """`workers` cells at a time, each in a process of its own.

    Of processes that share a pool, one that dies (killed, or out of memory) takes the others with
    it. All of their cells begin again, now each in a pool of its own, so that the one to blame is
    known: it may die `AGAIN` times more, then its cell has failed.

    Arguments: `own`, what the cells brought along; it is sent once to each process.
    Errors: `ValueError` for what no other process could have, as what a notebook defines.
    """

    def __init__(
        self,
        workers: int,
        cache: str | None = None,
        run: Run | None = None,
        own: Own | None = None,
    ):
        self.slots, self.cache, self.run = workers, cache, run or run_in
        self.packed = Packed.of(own) if own else None
        # Spawned: a fork would inherit torch's threads in whatever state they are.
        self.context = get_context("spawn")
        # When this end closes, by us or with us, the workers end, whatever they are doing.
        self.theirs, self.ours = self.context.Pipe(duplex=False)
        self.pool = self._new_pool(workers)
        self.alone: set[ProcessPoolExecutor] = set()

    def submit(self, cell: Cell) -> Job:
        try:
            future = self._begun(self.pool, cell)
        except BrokenProcessPool:
            self.pool = self._new_pool(self.slots)
            future = self._begun(self.pool, cell)
        return Job(cell, future, self.pool)

    def wait(self, handles: list[Job]) -> list[tuple[Job, Outcome]]:
        ended: list[tuple[Job, Outcome]] = []
        while not ended:
            wait([job.future for job in handles], return_when=FIRST_COMPLETED)
            for job in [job for job in handles if job.future.done()]:
                outcome = outcome_of(job.future.result)
                if isinstance(outcome, BrokenProcessPool) and job.deaths < AGAIN:
                    self._again(job)
                    continue
                ended.append((job, outcome))
                self._leave(job)
        return ended

    def close(self) -> None:
        """End what is running and wait for it, so that no worker says anything after us."""
        self.ours.close()
        for pool in (self.pool, *self.alone):
            pool.shutdown(wait=True, cancel_futures=True)
        self.theirs.close()

    def _again(self, job: Job) -> None:
        self._leave(job)
        job.deaths, job.pool = job.deaths + 1, self._new_pool(1)
        self.alone.add(job.pool)
        job.future = self._begun(job.pool, job.cell)

    def _leave(self, job: Job) -> None:
        if job.pool in self.alone:
            self.alone.remove(job.pool)
            job.pool.shutdown(wait=False)

    def _new_pool(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, self.context, _begin, (self.theirs, self.packed))

    def _begun(self, pool: ProcessPoolExecutor, cell: Cell) -> Future:
        if cell.own is None:
            return pool.submit(self.run, cell, self.cache)
        check_packed(self.packed)
        return pool.submit(_run_there, self.run, replace(cell, own=None), self.cache)


def check_packed(packed: object) -> None:
    """Demand what a cell brought along, before it is sent to where it would be missed.

    >>> check_packed(None)
    Traceback (most recent call last):
    ValueError: own: expected what the cells brought along, as Processes(2, own=cells[0].own)
    """
    if packed is None:
        raise ValueError(
            "own: expected what the cells brought along, as Processes(2, own=cells[0].own)"
        )


def outcome_of(compute: Callable[[], dict]) -> Outcome:
    """What `compute()` returns, or the exception that ended it.

    >>> outcome_of(lambda: {"queries": 150})
    {'queries': 150}
    """
    try:
        return compute()
    except Exception as error:
        return error


def run_in(cell: Cell, cache: str | None) -> dict:
    """`run_cell` with the cache of the machine it runs on; what an engine carries there."""
    return run_cell(cell, Cache(cache))


def _begin(run: connection.Connection, packed: Packed | None) -> None:
    """In a worker, before its first cell.

    Ctrl-C is for the run, which ends its workers, as `kill -9` of it does, too.
    """
    _PACKED[:] = [packed] if packed is not None else []
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        connection.wait([run])  # readable when nobody holds the other end any more
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_there(run: Run, cell: Cell, cache: str | None) -> dict:
    """In a worker: a cell with what the run brought along."""
    return run(replace(cell, own=unpacked(_PACKED[0])), cache)
