"""One cell: the thief steals, and everything worth a line is measured.

The thief asks as client "thief", the honest user of a fresh copy as "honest". Accuracy of the
answers is taken twice: before the attack, and afterwards as the thief's own client, which is
what a client who has covered that much gets; `honest` says what one keeps who asks from ten to
ten thousand questions. Where all clients share one ledger, it is also taken as new customers with
ten questions each, before and after. L1 is taken on what the thief really sent, from the softmax
of the model that answers. Where the images come from a folder, `images` says what lay there, and
`honest_changed` what a client keeps whose images are shifted, rotated or darkened.

Of a detector, and of a QUEEN with a gate, a line says `fired_after`, the number of the query
that raised the first alarm of any of the thief's accounts, `None` without one, and
`honest_flagged`, at how many of 1000 honest accounts with as many questions (at most 1000) it
fires. Of one with `verdict` it says `ownership`: whether the substitute is proved to be a copy.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from queen_ref.arena.cells import Cell, check_pool
from queen_ref.arena.honest import CHANGES
from queen_ref.arena.keep import keep
from queen_ref.arena.parts import SharedParts
from queen_ref.arena.provenance import machine, revision, versions
from queen_ref.attacks import Knowledge, steal
from queen_ref.attacks.training import near_chance
from queen_ref.blackbox import BlackBox
from queen_ref.cache import Cache
from queen_ref.defenses import Defense
from queen_ref.metrics import agreement, l1_distance, predict, protected_accuracy
from queen_ref.models import Model
from queen_ref.queen import Queen

# The best epoch is chosen with the test set. Beyond this the choice says something.
SELECTION = 0.01

HONEST = (1000, 1000)  # accounts on which a detector is tried, and the most questions of each
# A customer of a shared ledger asks little, so that what he gets is the fault of those before him.
QUESTIONS = 10

# Seeds come one after another: two sets of parts are enough, and a GPU's memory is finite.
_RECENT: OrderedDict[tuple, SharedParts] = OrderedDict()


def shared_parts(cell: Cell, cache: Cache, device: str | None = None) -> SharedParts:
    """The parts a cell shares with others, kept while its seed is worked on."""
    own = tuple(pair for pair in cell.code if pair[0] in ("data", "model"))
    sharing = (
        cell.profile, cell.seed, cell.limit, cell.queen, cell.model, own, cache.folder, device,
    )  # fmt: skip
    if sharing not in _RECENT:
        _RECENT[sharing] = SharedParts(cell, cache, device)
    _RECENT.move_to_end(sharing)
    while len(_RECENT) > 2:
        _RECENT.popitem(last=False)
    return _RECENT[sharing]


def run_cell(cell: Cell, cache: Cache, device: str | None = None) -> dict[str, Any]:
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


def _run_cell(cell: Cell, cache: Cache, device: str | None) -> dict[str, Any]:
    start = time.perf_counter()
    shared = shared_parts(cell, cache, device)
    settings, data = cell.settings, shared.data
    check_pool([cell], data)  # before anything is trained for it
    spent = sum(shared.seconds.values())
    defense, victim = shared.defense(cell.the_defense), shared.victim
    training_of_parts = sum(shared.seconds.values()) - spent

    clock = {"evaluation": 0.0}
    pool, test = data.pool(cell.pool), data.test
    history: list[float] = []
    faithful: list[float] = []

    def after_epoch(epoch: int, model: nn.Module) -> None:
        begun = time.perf_counter()
        said = predict(model, test[0]).argmax(1)
        history.append(agreement(said, test[1]))
        faithful.append(agreement(said, shared.victim_labels))
        clock["evaluation"] += time.perf_counter() - begun

    api = BlackBox(defense, client="thief", record=True)
    theft = steal(
        api,
        pool,
        settings.budget,
        policy=cell.the_policy,
        attack=cell.the_attack,
        knowledge=Knowledge(
            defense=defense.fresh(),
            pool_labels=data.labels_of(cell.pool),
            clean=lambda images: predict(victim, images),
            codebook=getattr(defense, "held", None),
        ),
        sizes=settings.sizes,
        seed=cell.seed,
        after_epoch=after_epoch,
    )
    during = clock["evaluation"]

    begun = time.perf_counter()
    counters = counted(defense, api.accounts)
    caught = caught_by(defense, theft.substitute, api)
    if watches(defense):
        length = min(settings.budget, HONEST[1])
        caught["honest_flagged"] = shared.honest_flagged(cell, defense, HONEST[0], length)
    before = protected_accuracy(BlackBox(defense.fresh(), client="honest"), *test)
    customers: dict[str, float] = {}
    if isinstance(defense, Queen) and defense.config.ledgers == "shared":
        customers["customers_before"] = to_customers(defense.fresh(), *test)
        customers["customers_after"] = to_customers(defense, *test)
    # Nobody asks this defence again, so that asking it needs no copy.
    covered = BlackBox(defense, client="thief")
    after = protected_accuracy(covered, *test) if defense.stateful else before
    said = predict(theft.substitute, test[0]).argmax(1)
    right = said == test[1]
    last = float(right.float().mean())
    line: dict[str, Any] = {
        "key": cell.key,
        "attack": cell.attack,
        "policy": cell.policy,
        "defense": cell.defense,
        "seed": cell.seed,
        "profile": cell.profile,
        "pool": cell.pool,
        "substitute_accuracy": last,
        "substitute_accuracy_best": max([last, *history]),
        "fidelity": agreement(said, shared.victim_labels),
        "victim_accuracy": agreement(shared.victim_labels, test[1]),
        "protected_accuracy": before,
        "protected_accuracy_after": after,
        "l1": mean_l1(defense.victim, api.exchanges()),
        "queries": api.queries,
        "accounts": theft.accounts,
        "counters": counters,
        **caught,
    }
    line |= customers
    if cell.limit is not None:
        line["limit"] = cell.limit
    if cell.queen:
        line["queen"] = dict(cell.queen)
    if cell.setting:
        line["setting"] = dict(cell.setting)
    if cell.budget is not None:
        line["budget"] = cell.budget
    if cell.recipe:
        line["recipe"] = dict(cell.recipe)
    line["honest"] = shared.honest(cell, defense)
    if data.source:
        line["images"] = data.source
        line["honest_changed"] = {name: shared.honest(cell, defense, name) for name in CHANGES}
    line["curve"] = {"accuracy": history, "fidelity": faithful}
    line["right"] = as_bits(right)
    noticed = theft.flags + degenerate(line, data.num_classes, len(test[0]), defense)
    line["flags"] = flags(line, noticed, defense.flags)
    clock["evaluation"] += time.perf_counter() - begun

    seconds = {"parts": training_of_parts, **theft.seconds, **clock}
    # The thief's clock ran while his substitute was examined.
    if "training" in seconds:
        seconds["training"] -= during
    seconds["total"] = time.perf_counter() - start
    line["seconds"] = {name: round(max(0.0, value), 3) for name, value in seconds.items()}
    line["device"] = torch.device(shared.device).type
    line["machine"] = machine(line["device"])
    line["config"] = cell.config
    line["data"] = shared.digest
    line["versions"] = versions()
    line["git"] = revision()
    if cell.keep is not None:
        keep(cell.keep, cell, line, theft)
    return line


def as_bits(right: Tensor) -> str:
    """Which of N test images are right, bool (N,), in hex digits, four images a digit.

    Two copies of one seed are compared image by image, see `queen_ref.arena.significance`.

    >>> as_bits(torch.tensor([True, False, False, False, True]))
    '88'
    """
    return np.packbits(right.cpu().numpy()).tobytes().hex()[: -(-len(right) // 4)]


def counted(defense: Defense, accounts: Iterable[str]) -> dict[str, int]:
    """What a defence has counted of a thief, all his accounts together.

    >>> counted(queen, ["thief", "thief 2"])["queries"]
    0
    """
    total: dict[str, int] = {}
    for name in accounts:
        for what, count in defense.report(name).items():
            if what != "fired":  # no count: the number of a query
                total[what] = total.get(what, 0) + count
    return total


def watches(defense: Defense) -> bool:
    """Whether a defence raises alarms at accounts: a detector does, and a QUEEN with a gate.

    >>> watches(detector), watches(queen)
    (True, False)
    """
    gate = getattr(defense, "gate", True)
    return hasattr(defense, "flagged_streams") and gate is not None


def caught_by(defense: Defense, substitute: nn.Module, api: BlackBox) -> dict[str, Any]:
    """What a defence that detects or proves a theft says of this one, see the top of this file.

    >>> caught_by(defense, victim, api)
    {}
    """
    found: dict[str, Any] = {}
    if watches(defense):
        reports = [defense.report(name) for name in api.accounts]
        found["fired_after"] = min((r["fired"] for r in reports if "fired" in r), default=None)
    if hasattr(defense, "verdict"):
        asked = torch.cat([images for images, _ in api.exchanges()])
        found["ownership"] = defense.verdict(substitute, asked)
    return found


def to_customers(queen: Queen, images: Tensor, labels: Tensor, questions: int = QUESTIONS) -> float:
    """Accuracy of the answers to new customers with so many questions each, on a copy.

    Every one of them finds the ledger as it is now, and stands before a gate as a stranger: nobody
    pays for the customers before him. One client who asked about all images would fill a strict
    ledger himself.

    >>> to_customers(queen, test_images, test_labels) > 0.5
    True
    """
    copied = deepcopy(queen)
    now, right = copied.ledger("customer").snapshot(), 0
    for asked, wanted in zip(images.split(questions), labels.split(questions), strict=True):
        right += int((copied(asked, client="customer").argmax(1) == wanted).sum())
        copied.ledger("customer").restore(now)
        copied.reset("customer")
    return right / len(images)


def mean_l1(victim: Model, exchanges: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Mean over queries of ``sum_k |y_k - y'_k|``, y the victim's softmax on what was sent.

    Arguments: `exchanges`, images (B, C, H, W) and answers (B, K), as `BlackBox` records them.

    >>> mean_l1(victim, [(queries, answers)]) < 1e-6        # these are the victim's own answers
    True
    """
    total, count = 0.0, 0
    for images, answers in exchanges:
        total += len(images) * l1_distance(predict(victim, images), answers)
        count += len(images)
    return total / count


def degenerate(line: dict[str, Any], classes: int, tested: int, defense: Defense) -> list[str]:
    """What makes a line say less than it seems: models that guess, a QUEEN that guards nothing.

    Arguments: `classes`, K; `tested`, how many test images the accuracies are taken on.

    >>> degenerate({"substitute_accuracy": 0.1, "victim_accuracy": 0.9}, 10, 333, defense)
    ['substitute near chance or below']
    """
    found = [
        f"{who} near chance or below"
        for who in ("substitute", "victim")
        if near_chance(line[f"{who}_accuracy"], classes, tested)
    ]
    if isinstance(defense, Queen):
        radii = defense.clusters.radii
        empty = int((radii <= 0).sum())
        if empty == len(radii):
            found.append("QUEEN guards nothing: no class has a region")
        elif empty:
            found.append(f"QUEEN guards {len(radii) - empty} of {len(radii)} classes: "
                         "the regions of the others are empty")  # fmt: skip
    return found


def flags(line: dict[str, Any], noticed: list[str], said: Sequence[str] = ()) -> list[str]:
    """Why the numbers of a line may mislead: what the thief noticed, and what we see.

    Arguments: `said`, what the defence says of itself.

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
    return [*found, *said]
