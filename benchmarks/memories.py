"""What several workers let pass that know nothing of each other.

One client asks a strict QUEEN for all 1500 images of a pool. Two, four or eight workers take its
batches in turn, each with a budget and a ledger of its own. Everything is counted, nothing timed.
"""

import pickle
from collections.abc import Sequence
from itertools import cycle

import torch

import queen_ref as qr

BUDGET, BATCH = 400, 50
WORKERS = (1, 2, 4, 8)
SEEDS = (0, 1, 2)
STRICT = 0.02  # the threshold that reverses within a small budget, as in the chapters


def measure(quick: bool) -> list[dict]:
    """A row for each seed and number of workers."""
    rows = []
    for seed in SEEDS[: 1 if quick else None]:
        queen, pool = prepared("smoke" if quick else "cpu", seed)
        for count in WORKERS:
            rows.append({"seed": seed, "workers": count, **apart(queen, pool.split(BATCH), count)})
    return rows


def prepared(profile: str, seed: int) -> tuple[qr.Queen, torch.Tensor]:
    """A victim on MNIST-5k behind a strict QUEEN, and images that it was not trained on."""
    data = qr.data.load(profile, seed)
    victim = qr.models.build(data.model, data.shape, data.num_classes, seed)
    qr.training.fit(victim, *data.train, seed=seed)
    queen = qr.Queen.fit(victim, *data.train, qr.QueenConfig(threshold=STRICT), seed)
    return queen, data.pools["mnist"]


def apart(queen: qr.Queen, batches: Sequence[torch.Tensor], count: int) -> dict:
    """What `count` workers do in sum: images served of one budget, and the client's counters."""
    # What a worker gets when it starts is a copy, by a fork or by a pickle.
    copies = [pickle.loads(pickle.dumps(queen)) for _ in range(count)]
    for number, batch in enumerate(batches):
        copies[number % count](batch, client="alice")
    reports = [copy.report("alice") for copy in copies]

    boxes = [pickle.loads(pickle.dumps(qr.BlackBox(queen, BUDGET))) for _ in range(count)]
    for box in boxes:
        for batch in cycle(batches):
            try:
                box(batch)
            except qr.BudgetExceeded:
                break
    return {
        "budget": BUDGET, "served": sum(box.queries for box in boxes),
        **{name: sum(report[name] for report in reports) for name in reports[0]},
    }  # fmt: skip
