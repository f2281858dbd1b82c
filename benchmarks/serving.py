"""What serving costs and keeps: many clients, one long batch, threads, several memories or one.

    .venv/bin/python -m benchmarks.serving                    minutes, into _build/serving.json
    .venv/bin/python -m benchmarks.serving --quick
    .venv/bin/python -m benchmarks.serving --out book/results/serving.json      what the book shows

Each part runs in a process of its own: memory that was used once is not always given back. Times
are ratios within one run where speed is meant; all networks compute with one thread.
"""

import argparse
import datetime
import json
import os
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

import queen_ref as qr
from benchmarks import clients, memories
from benchmarks.clients import fitted, resident, settled
from benchmarks.keeper import Keeper
from benchmarks.one_memory import CONTEXT, running, share
from benchmarks.timing import QUARTILES, machine, ratio
from benchmarks.worker import connect
from queen_ref.cache import write_whole


def long_batches(quick: bool) -> list[dict]:
    """What one call holds above the images themselves: of a piece, and of many pieces."""
    queen = fitted()
    return [above(queen, count) for count in (256, 2000 if quick else 20_000)]


def above(queen: qr.Queen, count: int) -> dict:
    images = torch.rand(count, 1, 28, 28)
    before = peak = settled()
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
    return {"images": count, "images, MB": size / 1e6, "above, MB": (peak - before) / 1e6}


def threads(quick: bool) -> list[dict]:
    """The same calls from eight threads and from one, of one image and of many."""
    queen, rows = fitted(), []
    for size, calls in ((1, 16), (64, 2)) if quick else ((1, 64), (64, 8)):
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
            there, repeat = images.numpy(), range(64 if size == 1 else 1)
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


PARTS = {"clients": clients.measure, "long": long_batches, "threads": threads, "wire": wire,
         "memories": memories.measure, "shared": shared}  # fmt: skip


def measured(name: str, quick: bool) -> tuple[list[dict], dict[str, str]]:
    torch.set_num_threads(1)
    return PARTS[name](quick), machine()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument(
        "--only", choices=PARTS, nargs="+", default=list(PARTS), help="the others stay as they are"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one seed")
    parser.add_argument("--out", type=Path, default=Path("_build/serving.json"))
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes below, and of the keepers they start
    options.out.parent.mkdir(parents=True, exist_ok=True)
    record = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        with ProcessPoolExecutor(1, CONTEXT) as alone:
            rows, found = alone.submit(measured, name, options.quick).result()
        print(name, *rows, sep="\n  ", flush=True)
        if (found, options.quick) != (record.get("machine"), record.get("quick")):
            record = {}  # of another machine, or of other sizes
        record |= {
            "program": "benchmarks/serving.py",
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "quick": options.quick,
            "seeds": list(memories.SEEDS[: 1 if options.quick else None]),
            "machine": found,
            "load": round(os.getloadavg()[0], 1),  # above the number of cores, others are at work
            name: rows,
        }
        write_whole(options.out, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
