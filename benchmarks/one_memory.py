"""Four workers, one memory: a client's budget and ledger are exact, whichever worker it meets.

    .venv/bin/python -m benchmarks.one_memory

Starts a keeper and four workers on this machine, and lets all four ask for one client.
"""

import multiprocessing
import secrets
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.process import BaseProcess

import numpy as np

import queen_ref as qr
from benchmarks.keeper import Keeper, serve
from benchmarks.worker import ask_all, connect

# A fork of a process with threads can wait for ever for one that is not there.
CONTEXT = multiprocessing.get_context("spawn")
PATIENCE = 120  # seconds that a busy machine may need to start a process


@contextmanager
def running(
    keeper: Keeper, address: str = "", key: bytes = b""
) -> Iterator[tuple[BaseProcess, str, bytes]]:
    """A keeper in a process of its own: the process, its address, its key. New ones by default."""
    with tempfile.TemporaryDirectory() as folder:  # nobody but its owner may enter
        address, key = address or f"{folder}/socket", key or secrets.token_bytes(32)
        process = CONTEXT.Process(target=serve, args=(keeper, address, key))
        process.start()
        try:
            wait_for(process, address, key)
            yield process, address, key
        finally:
            process.terminate()
            process.join()


def wait_for(process: BaseProcess, address: str, key: bytes) -> None:
    """Until the keeper answers."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            connect(address, key)
            return
        except (FileNotFoundError, ConnectionRefusedError):
            if not process.is_alive() or time.monotonic() > end:
                raise RuntimeError("expected a keeper, it did not start") from None
            time.sleep(0.02)


@contextmanager
def workers(count: int) -> Iterator[list[ProcessPoolExecutor]]:
    """So many processes, each told by itself what to do."""
    with ExitStack() as stack:
        yield [stack.enter_context(ProcessPoolExecutor(1, CONTEXT)) for _ in range(count)]


def share(keeper: Keeper, images: np.ndarray, count: int = 4, client: str = "alice") -> dict:
    """Let `count` workers ask at the same time, each for its part of the images (N, C, H, W)."""
    with running(keeper) as (_, address, key), workers(count) as pool:
        parts = np.array_split(images, count)
        days = [worker.submit(ask_all, address, key, client, part)
                for worker, part in zip(pool, parts, strict=True)]  # fmt: skip
        results = [day.result() for day in days]
        return {
            "asked": len(images),
            "answered": sum(len(answers) for answers, _ in results),
            "refused": sum(len(refusals) for _, refusals in results),
            "report": connect(address, key).report(client),
        }


def main() -> None:
    data = qr.data.load("smoke", seed=0)
    victim = qr.models.build("small_cnn", data.shape, data.num_classes, seed=0)
    qr.training.fit(victim, *data.train, qr.Recipe(epochs=5), seed=0)
    config = qr.QueenConfig(threshold=0.02, shadows=2, shadows_per_query=1, map_epochs=10)
    queen = qr.Queen.fit(victim, *data.train, config, seed=0)
    pool = data.pools["mnist"]
    found = share(Keeper(queen, budget=400), pool.repeat(2, 1, 1, 1)[:600].numpy())
    print(", ".join(f"{count} {what}" for what, count in found.items() if what != "report"))
    print("the client's counters:", found["report"])


if __name__ == "__main__":
    main()
