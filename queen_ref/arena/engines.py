"""Where cells are computed: in this process, in processes beside this one, or on a Ray cluster.

An engine takes cells and gives back outcomes; it writes nothing. `slots` is how many cells it
works on at a time. An outcome is a result or the exception that ended the cell.
"""

import os
import signal
import socket
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
        return pool.submit(_run_there, self.run, replace(cell, own=None), self.cache)


class Ray:
    """One task a cell, on every core of a Ray cluster, or on one begun for this run.

    A worker that dies costs the time of its cell: Ray runs it again, three times at most.
    Each node keeps its own cache of trained parts.

    Arguments: `address` of a cluster's head, "host:6379" or "auto"; `gpus` a task takes; `own`,
    what the cells brought along.
    Errors: `ValueError` without Ray, or without a cluster at that address.
    """

    def __init__(
        self,
        address: str | None = None,
        cache: str | None = None,
        run: Run | None = None,
        gpus: float = 0,
        own: Own | None = None,
    ):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # an experiment phones nobody
        # Ray 2.60 announces what it will do one day about GPUs it was not given.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray  # optional: only a cluster needs it
        except ImportError:
            raise ValueError(
                "engine: ray is not installed; pip install 'queen-ref[cluster]'"
            ) from None
        self.ray: Any = ray
        packed = Packed.of(own) if own else None  # said before a cluster is begun
        self.cache, self.gpus = cache, gpus
        if address not in (None, "auto") and not reachable(address):
            raise ValueError(f"ray-address: no cluster at {address}")
        self.mine = not self.ray.is_initialized()
        if self.mine:
            options: dict = {"log_to_driver": False, "logging_level": "ERROR"}
            if address is None:
                options["include_dashboard"] = False
            try:
                self.ray.init(address=address, **options)
            except (ConnectionError, RuntimeError, ValueError) as error:
                reason = str(error).strip().splitlines()[0]
                raise ValueError(f"ray-address: no cluster at {address} ({reason})") from None
        needs = {"num_cpus": 1, "num_gpus": gpus, "max_retries": 3}
        self.task = self.ray.remote(**needs)(run or run_in)
        work, self.packed = run or run_in, self.ray.put(packed) if packed else None

        def with_own(cell: Cell, cache: str | None, packed: Packed) -> dict:
            return work(replace(cell, own=unpacked(packed)), cache)

        self.task_with_own = self.ray.remote(**needs)(with_own)

    @property
    def slots(self) -> int:
        """As many cells as the cluster has room for now; nodes may come and go."""
        there = self.ray.cluster_resources()
        room = there.get("GPU", 0) / self.gpus if self.gpus else there.get("CPU", 0)
        return max(1, int(room))

    def submit(self, cell: Cell) -> Any:
        if cell.own is None:
            return self.task.remote(cell, self.cache)
        return self.task_with_own.remote(replace(cell, own=None), self.cache, self.packed)

    def wait(self, handles: list) -> list[tuple[Any, Outcome]]:
        done, _ = self.ray.wait(handles, num_returns=1)
        return [(handle, self._outcome(handle)) for handle in done]

    def close(self) -> None:
        if self.mine:
            self.ray.shutdown()

    def _outcome(self, handle: Any) -> Outcome:
        try:
            return self.ray.get(handle)
        except Exception as error:
            return getattr(error, "cause", None) or error


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


def reachable(address: str) -> bool:
    """Whether somebody listens at "host:port" (Ray itself would try for minutes).

    >>> reachable("127.0.0.1:9")
    False
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True
