"""What many clients hold in memory and on disk, and what a save and a load of them cost."""

import ctypes
import dataclasses
import gc
import resource
import tempfile
import time
from pathlib import Path

import torch

import queen_ref as qr

CONFIG = qr.QueenConfig(shadows=2, shadows_per_query=1, map_epochs=2, beta=50.0)


def fitted(size: int = 28, **settings) -> qr.Queen:
    """A QUEEN for whom every query is inside, and so recorded."""
    victim = qr.models.build("small_cnn", (1, size, size), 10)
    images = torch.rand(200, 1, size, size, generator=torch.Generator().manual_seed(0))
    config = dataclasses.replace(CONFIG, **settings)
    return qr.Queen.fit(victim, images, torch.arange(200) % 10, config)


def measure(quick: bool) -> list[dict]:
    """Clients with one query each: some that asked just now, and many that come from a file."""
    asked, loaded = (100, 1000) if quick else (2000, 100_000)
    queen = fitted(size=8, others="untouched")  # the walk leaves nothing in a client's memory
    images = torch.rand(64, 1, 8, 8)
    for client in range(100):
        queen(images[:1], client=f"warm-{client}")
    queen.reset()
    before = settled()
    for client in range(asked):
        queen(images[client % 64][None], client=f"client-{client}")
    rows = [kept(queen, "asked", settled() - before)]
    queen.reset()
    queen(images[:1], client="first")
    before = settled()
    queen = qr.Queen.from_state(queen.victim, repeated(queen.state_dict(), loaded))
    return [*rows, kept(queen, "loaded", settled() - before)]


def repeated(state: dict, count: int) -> dict:
    """A state with one client, and the same state with `count` of them."""
    known = state["clients"]
    history = known["histories"]
    many = {
        "names": [f"client-{number}" for number in range(count)],
        "counts": known["counts"].repeat(count, 1),
        "histories": {n: v.repeat(count, *[1] * (v.ndim - 1)) for n, v in history.items()},
    }
    return {**state, "clients": many}


def kept(queen: qr.Queen, how: str, used: int) -> dict:
    """What the clients of a defence hold, and what a save and a load of them cost."""
    count = len(queen.clients)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queen.pt"
        start = time.process_time()
        queen.save(path)
        saved = time.process_time()
        again = qr.Queen.load(queen.victim, path)
        loaded = time.process_time()
        assert again.report("client-7") == queen.report("client-7")
        return {
            "clients": count, "how": how,
            "recorded": sum(client.recorded for client in queen.clients.values()),
            "bytes a client": round(used / count), "save, core seconds": saved - start,
            "load, core seconds": loaded - saved, "file, MB": path.stat().st_size / 1e6,
        }  # fmt: skip


def resident() -> int:
    """Bytes that this process holds; Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def settled() -> int:
    """The same, after what nobody uses was given back: else new things would fill old holes."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return resident()
