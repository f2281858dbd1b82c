"""What serving costs and keeps: many clients, one long batch, threads, several memories or one.

    .venv/bin/python -m benchmarks.serving                    five minutes, into _build/serving.json
    .venv/bin/python -m benchmarks.serving --quick
    .venv/bin/python -m benchmarks.serving --out book/results/serving.json      what the book shows

Each part runs in a process of its own: memory that was used once is not always given back. Times
are ratios within one run where speed is meant; all networks compute with one thread.
"""

import argparse
import datetime
import json
import os
import resource
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

import queen_ref as qr
from benchmarks import memories
from benchmarks.keeper import Keeper
from benchmarks.one_memory import CONTEXT, running, share
from benchmarks.timing import QUARTILES, machine, ratio
from benchmarks.worker import connect
from queen_ref.cache import write_whole

CONFIG = qr.QueenConfig(shadows=2, shadows_per_query=1, map_epochs=2, beta=50.0)


def fitted() -> qr.Queen:
    """A QUEEN for whom every query is inside, and so recorded."""
    victim = qr.models.build("small_cnn", (1, 28, 28), 10)
    images = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return qr.Queen.fit(victim, images, torch.arange(200) % 10, CONFIG)


def clients(quick: bool) -> list[dict]:
    """One query each, then save and load."""
    return [many_clients(count) for count in ((100,) if quick else (1000, 100_000))]


def many_clients(count: int) -> dict:
    queen = fitted()
    images = torch.rand(64, 1, 28, 28)
    for client in range(1000):
        queen(images[:1], client=f"warm-{client}")
    queen.reset()
    before = resident()
    for client in range(count):
        queen(images[client % 64][None], client=f"client-{client}")
    used = resident() - before
    recorded = sum(queen.report(f"client-{client}")["recorded"] for client in range(count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queen.pt"
        start = time.perf_counter()
        queen.save(path)
        saved = time.perf_counter()
        again = qr.Queen.load(queen.victim, path)
        loaded = time.perf_counter()
        assert len(again.clients) == count
        return {
            "clients": count, "recorded": recorded, "bytes a client": round(used / count),
            "save, seconds": saved - start, "load, seconds": loaded - saved,
            "file, MB": path.stat().st_size / 1e6,
        }  # fmt: skip


def long_batch(quick: bool) -> list[dict]:
    """What one call holds above the images themselves."""
    queen, count = fitted(), 2000 if quick else 20_000
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
    queen(images, client="long")
    done.set()
    watcher.join()
    size = images.numel() * images.element_size()
    return [{"images": count, "images, MB": size / 1e6, "above, MB": (peak - before) / 1e6}]


def threads(quick: bool) -> list[dict]:
    """The same calls from eight threads and from one, of one image and of many."""
    queen, rows = fitted(), []
    for size, calls in ((1, 32), (64, 4)) if quick else ((1, 256), (64, 32)):
        batches = torch.rand(size * calls, 1, 28, 28).split(size)

        def eight(batches=batches) -> None:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(queen, batches))

        times = ratio(
            eight, lambda batches=batches: [queen(b) for b in batches], 3 if quick else 15
        )
        rows.append(row("eight threads", "one thread", times, batch=size, cores=os.cpu_count()))
    return rows


def wire(quick: bool) -> list[dict]:
    """The same batch through a keeper in another process, and asked here."""
    rows = []
    with running(Keeper(fitted(), budget=10**9)) as (_, address, key):
        queen, keeper = fitted(), connect(address, key)
        for size in (1, 256):
            images = torch.rand(size, 1, 28, 28)
            there, repeat = images.numpy(), range(256 // size)
            times = ratio(
                lambda there=there, repeat=repeat: [keeper.ask("a", there) for _ in repeat],
                lambda images=images, repeat=repeat: [queen(images, client="a") for _ in repeat],
                3 if quick else 15,
            )
            rows.append(row("through the keeper", "in the process itself", times, batch=size))
    return rows


def shared(quick: bool) -> list[dict]:
    """Four workers and one keeper: one client asks for more than the budget."""
    images = torch.rand(600, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    keeper = Keeper(fitted(), memories.BUDGET)
    return [{"workers": 4, "budget": memories.BUDGET, **share(keeper, images.numpy())}]


def row(what: str, base: str, times: list[float], **more) -> dict:
    low, median, high = (float(value) for value in np.quantile(times, QUARTILES))
    return {"what": what, "base": base, "median": median, "low": low, "high": high, **more}


def resident() -> int:
    """Bytes that this process holds; Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


PARTS = {"clients": clients, "long": long_batch, "threads": threads, "wire": wire,
         "memories": memories.measure, "shared": shared}  # fmt: skip


def measured(name: str, quick: bool) -> tuple[list[dict], dict[str, str]]:
    torch.set_num_threads(1)
    return PARTS[name](quick), machine()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes, one seed")
    parser.add_argument("--out", type=Path, default=Path("_build/serving.json"))
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes below, and of the keepers they start
    begin, parts = time.perf_counter(), {}
    for name in options.only:
        with ProcessPoolExecutor(1, CONTEXT) as alone:
            parts[name], found = alone.submit(measured, name, options.quick).result()
        print(name, *parts[name], sep="\n  ", flush=True)
    record = {
        "program": "benchmarks/serving.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": options.quick,
        "seeds": list(memories.SEEDS[: 1 if options.quick else None]),
        "machine": found,
        "seconds": round(time.perf_counter() - begin),
        **parts,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(options.out, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
