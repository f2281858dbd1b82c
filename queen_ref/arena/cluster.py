"""Cells on several machines: the engine for a Ray cluster.

Ray is imported when the engine is made. Nothing else in `queen_ref` needs it.
"""

import os
import socket
from dataclasses import replace
from typing import Any

from queen_ref.arena.cells import Cell
from queen_ref.arena.engines import Outcome, Run, check_packed, run_in
from queen_ref.arena.own import Own, Packed, unpacked


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
        check_packed(self.packed)
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
