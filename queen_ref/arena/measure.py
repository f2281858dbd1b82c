"""One cell: the thief steals, and everything worth a line is measured.

The thief asks as client "thief", the honest user of a fresh copy as "honest". Accuracy of the
answers is taken twice: before the attack, and afterwards as the thief's own client, which is
what a client who has covered that much gets. L1 is taken on what the thief really sent, from
the softmax of the model that answers.
"""

import os
import platform
import subprocess
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache as once
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn

from queen_ref.arena.cache import Cache
from queen_ref.arena.cells import Cell
from queen_ref.arena.parts import Workshop
from queen_ref.attacks import Knowledge, steal
from queen_ref.blackbox import BlackBox
from queen_ref.metrics import accuracy, fidelity, l1_distance, predict, protected_accuracy

# The best epoch is chosen with the test set. Beyond this the choice says something.
SELECTION = 0.01

# Seeds come one after another: two sets of parts are enough, and a GPU's memory is finite.
_SHOPS: OrderedDict[tuple, Workshop] = OrderedDict()


def workshop(cell: Cell, cache: Cache, device: str | None = None) -> Workshop:
    """The shared parts of a cell, kept while its seed is worked on."""
    where = (cell.profile, cell.seed, cell.limit, cell.queen, cache.folder, device)
    if where not in _SHOPS:
        _SHOPS[where] = Workshop(cell.profile, cell.seed, cache, device, cell.limit, cell.queen)
    _SHOPS.move_to_end(where)
    while len(_SHOPS) > 2:
        _SHOPS.popitem(last=False)
    return _SHOPS[where]


class Wire:
    """Between thief and defence: his client's name on every query, and a copy of all of it."""

    def __init__(self, defense):
        self.defense = defense
        self.sent: list[tuple[Tensor, Tensor]] = []

    def __call__(self, images: Tensor) -> Tensor:
        answers = self.defense(images, client="thief")
        self.sent.append((images, answers))
        return answers

    def l1(self) -> float:
        """Mean over the queries of ``sum_k |y_k - y'_k|``, y the softmax of the model behind."""
        total = count = 0
        for images, answers in self.sent:
            total += len(images) * l1_distance(predict(self.defense.victim, images), answers)
            count += len(images)
        return total / count


def run_cell(cell: Cell, cache: Cache, device: str | None = None) -> dict:
    """Everything the results file holds about a cell; the same cell gives the same numbers.

    >>> line = run_cell(Cell("smoke", "mnist", "naive", "random", "none", 0), Cache("parts"))
    >>> line["queries"], line["defense"]
    (150, 'none')
    """
    with one_thread():
        return _run_cell(cell, cache, device)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order: a cell gives the same numbers on 2 cores, on 64, and on a cluster.

    On cores that other cells keep busy, more threads would only wait for each other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run_cell(cell: Cell, cache: Cache, device: str | None) -> dict:
    start = time.perf_counter()
    shop = workshop(cell, cache, device)
    settings, data = shop.settings, shop.data
    spent = dict(shop.seconds)
    defense, victim = shop.defense(cell.defense), shop.victim
    parts = sum(shop.seconds.values()) - sum(spent.values())

    clock = {"evaluation": 0.0}
    pool, test = data.pools[cell.pool], data.test
    history: list[float] = []

    def after_epoch(epoch: int, model: nn.Module) -> None:
        begun = time.perf_counter()
        history.append(accuracy(model, *test))
        clock["evaluation"] += time.perf_counter() - begun

    wire = Wire(defense)
    api = BlackBox(wire)
    theft = steal(
        api,
        pool,
        settings.budget,
        policy=cell.policy,
        attack=cell.attack,
        knowledge=Knowledge(
            defense=defense.fresh(),
            pool_labels=data.pool_labels.get(cell.pool),
            clean=lambda images: predict(victim, images),
        ),
        sizes=settings.sizes,
        seed=cell.seed,
        after_epoch=after_epoch,
    )
    during = clock["evaluation"]

    begun = time.perf_counter()
    counters = dict(defense.report("thief"))
    before = protected_accuracy(_as(defense.fresh(), "honest"), *test)
    # Nobody asks this defence again, so that asking it needs no copy.
    after = protected_accuracy(_as(defense, "thief"), *test) if defense.stateful else before
    last = accuracy(theft.substitute, *test)
    line = {
        "key": cell.key(),
        "attack": cell.attack,
        "policy": cell.policy,
        "defense": cell.defense,
        "seed": cell.seed,
        "profile": cell.profile,
        "pool": cell.pool,
        "substitute_accuracy": last,
        "substitute_accuracy_best": max([last, *history]),
        "fidelity": fidelity(theft.substitute, victim, test[0]),
        "victim_accuracy": accuracy(victim, *test),
        "protected_accuracy": before,
        "protected_accuracy_after": after,
        "l1": wire.l1(),
        "queries": api.queries,
        "counters": counters,
    }
    if cell.limit is not None:
        line["limit"] = cell.limit
    if cell.queen:
        line["queen"] = dict(cell.queen)
    line["flags"] = flags(line, theft.flags)
    clock["evaluation"] += time.perf_counter() - begun

    seconds = {"parts": parts, **theft.seconds, **clock}
    # The thief's clock ran while his substitute was examined.
    if "training" in seconds:
        seconds["training"] -= during
    seconds["total"] = time.perf_counter() - start
    line["seconds"] = {name: round(max(0.0, value), 3) for name, value in seconds.items()}
    line["device"] = torch.device(shop.device).type
    line["machine"] = machine(line["device"])
    line["config"] = cell.config()
    line["data"] = shop.digest
    line["versions"] = versions()
    line["git"] = revision()
    return line


def flags(line: dict, noticed: list[str]) -> list[str]:
    """Why the numbers of a line may mislead: what the thief noticed, and what we see.

    >>> flags({"defense": "queen", "counters": {"reversed": 0}, "substitute_accuracy": 0.9,
    ...        "substitute_accuracy_best": 0.9}, [])
    ['defence reversed nothing']
    """
    found = list(noticed)
    if "limit" in line:
        found.append(f"a trial with {line['limit']} images and two epochs: no result")
    if line["counters"].get("reversed") == 0:
        found.append("defence reversed nothing")
    gained = line["substitute_accuracy_best"] - line["substitute_accuracy"]
    if gained > SELECTION:
        found.append("test-set selection: the best epoch beats the last")
    if line["defense"] == "am":
        found.append("answers come from an outlier-exposed victim, fidelity is to the plain one")
    return found


@once
def versions() -> dict[str, str]:
    """Versions of what computes, and of Python."""
    found = {"python": platform.python_version()}
    for name in ("queen-ref", "torch", "torchvision", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a checkout on the path, not installed
            found[name] = "not installed"
    return found


@once
def revision() -> str | None:
    """The git revision of this checkout, "-dirty" after it where queen_ref/ was changed."""
    here = Path(__file__).parent.parent

    def git(*words: str) -> str:
        call = ["git", "-C", str(here), *words]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "-dirty" if git("status", "--porcelain", "-uno", ".") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


@once
def machine(device: str) -> str:
    """What the seconds were measured on, in words."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    try:
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                name = row.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{name}, 1 thread of {os.cpu_count()} cores"


def _as(defense, client: str):
    return lambda images: defense(images, client=client)
