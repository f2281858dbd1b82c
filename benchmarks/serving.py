"""What many clients and one long batch cost: a short program that prints, without a record.

    .venv/bin/python -m benchmarks.serving

Memory and time for 100 000 clients with one query each, and the
memory of 20 000 images in one call. Run each part in a process of its own: memory that was
used once is not always given back.
"""

import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

import queen_ref as qr

CLIENTS, LONG = 100_000, 20_000
CONFIG = qr.QueenConfig(shadows=2, shadows_per_query=1, map_epochs=2, beta=50.0)


def fitted() -> qr.Queen:
    """A QUEEN for whom every query is inside, and so recorded."""
    victim = qr.models.build("small_cnn", (1, 28, 28), 10)
    images = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return qr.Queen.fit(victim, images, torch.arange(200) % 10, CONFIG)


def many_clients(count: int = CLIENTS) -> None:
    """One query each, then save and load."""
    queen = fitted()
    images = torch.rand(64, 1, 28, 28)
    for client in range(1000):
        queen(images[:1], client=f"warm-{client}")
    queen.reset()
    before, start = resident(), time.perf_counter()
    for client in range(count):
        queen(images[client % 64][None], client=f"client-{client}")
    seconds, used = time.perf_counter() - start, resident() - before
    recorded = sum(queen.report(f"client-{client}")["recorded"] for client in range(100))
    print(f"{count} clients, {recorded} % with a recorded point: {used / 1e6:.0f} MB, "
          f"{used / count:.0f} bytes each, {1e6 * seconds / count:.0f} us a query")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queen.pt"
        start = time.perf_counter()
        queen.save(path)
        saved = time.perf_counter()
        again = qr.Queen.load(queen.victim, path)
        loaded = time.perf_counter()
        size = path.stat().st_size / 1e6
        print(f"save {saved - start:.1f} s, load {loaded - saved:.1f} s, "
              f"{size:.0f} MB on disk, {len(again.clients)} clients")  # fmt: skip


def long_batch(count: int = LONG) -> None:
    """What one call holds above the images themselves."""
    queen = fitted()
    images = torch.rand(count, 1, 28, 28)
    queen(images[:256])
    before = peak = resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    queen(images, client="long")
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{count} images in one call: {(peak - before) / 1e6:.0f} MB above the images, "
          f"{seconds:.1f} s (most the process ever held: {most:.0f} MB)")  # fmt: skip


def resident() -> int:
    """Bytes that this process holds; Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = {"clients": many_clients, "long": long_batch}
    for name in sys.argv[1:] or parts:
        parts[name]()
