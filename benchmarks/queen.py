"""What QUEEN costs per query, as a ratio to the victim's bare forward.

    make bench

Three regimes, each forced on every query of a batch of 256:

- walk: no query is inside; every answer is perturbed;
- record: every query is inside and recorded; with an empty ledger and with 10 000 points a class;
- reverse: every query is reversed. Its floor, the forwards that cannot be avoided, is one of
  the victim and k_s of a shadow per query.

Each is timed in turn with the bare forward, so that a slow moment of the machine slows both;
the median of the ratios is printed. `PerSampleQueen` is what a user would run otherwise.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import queen_ref as qr
from benchmarks.persample import PerSampleQueen

BATCH = 256
FULL = 10_000  # points a class
INSIDE = 1e3  # beta that puts every query inside
OUTSIDE = 1e-9  # beta that puts none inside
FINE = 1e-8  # spacing, as a share of s_k, that makes every query novel


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--rounds", type=int, default=15, help="timings of each regime")
    arguments.add_argument("--per-sample", type=int, default=16, help="queries of the reference")
    arguments.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = arguments.parse_args()

    machine = {
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    print("machine:", ", ".join(f"{name} {value}" for name, value in machine.items()))
    rows = []
    for name, shape in (("small_cnn", (1, 28, 28)), ("resnet18", (3, 32, 32))):
        rows += measure(name, shape, options.rounds, options.per_sample)
    if options.out:
        options.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def measure(name: str, shape: tuple, rounds: int, per_sample: int) -> list[dict]:
    """Print and return the ratios of one victim."""
    images = pictures(shape)
    batch = images[:BATCH]
    victim = qr.models.build(name, shape, 10, seed=0).eval().requires_grad_(False)
    labels = torch.arange(len(images)) % 10
    quick = qr.QueenConfig(map_epochs=2, shadow_epochs=1, shadow_accuracy=0.0)
    queen = qr.Queen.fit(victim, images, labels, quick, seed=0)
    shadow = queen.shadows.models[0]

    def bare():
        return victim(batch).softmax(1)

    def floor():
        bare()
        for _ in range(queen.config.shadows_per_query):
            shadow(batch)

    walk = queen.with_settings(beta=OUTSIDE)
    record = queen.with_settings(beta=INSIDE, spacing=FINE, threshold=1e9)
    reverse = queen.with_settings(beta=INSIDE, spacing=FINE, threshold=0.0)
    fill(record, FULL)
    prime(reverse, images)
    regimes = {
        "walk": (lambda: walk(batch, client="w"), 1.25 if name == "small_cnn" else 1.05),
        "record, empty ledger": (
            afresh(record, batch, "new"),
            1.25 if name == "small_cnn" else 1.05,
        ),
        "record, 10 000 points a class": (afresh(record, batch, "full"), 1.6),
        "reverse": (lambda: reverse(batch, client="r"), None),
        "floor of reverse": (floor, None),
    }
    expect(walk, "w", batch, inside=0)
    expect(record, "new", batch, recorded=BATCH, fresh=True)
    expect(record, "full", batch, recorded=BATCH, fresh=True)
    expect(reverse, "r", batch, reversed=BATCH)

    print(f"\n{name}, images {shape}, batch {BATCH}, K = 10, k_s = 5 of 10 shadows")
    rows, found = [], {}
    for regime, (run, target) in regimes.items():
        found[regime] = ratio(run, bare, rounds)
        goal = "" if target is None else f"   target at most {target}"
        report(rows, name, regime, "bare forward", found[regime], goal)
    against = ratio(regimes["reverse"][0], floor, rounds)
    report(rows, name, "reverse", "its floor", against, "   target at most 1.15")

    few = batch[:per_sample]
    for regime, ours in (("walk", walk), ("reverse", reverse)):
        reference = PerSampleQueen(ours)
        if regime == "reverse":
            reference.recorded = [[(1e9, 1e9)]] * 10
            reference.cqs = [1.0] * 10
        speedup = ratio(
            lambda reference=reference: reference(few),
            regimes[regime][0],
            max(3, rounds // 5),
        )
        speedup = [value * BATCH / per_sample for value in speedup]
        report(rows, name, f"one query at a time, {regime}", f"ours, {regime}", speedup, "")
    return rows


def pictures(shape: tuple, count: int = 1024) -> torch.Tensor:
    """Digits in the victim's shape, with a little noise so that no two are alike."""
    images = qr.data.digits(shape[1])[0][:count].expand(-1, shape[0], -1, -1)
    return (0.9 * images + 0.1 * qr.data.noise(count, shape)).contiguous()


def fill(queen: qr.Queen, each: int) -> None:
    """Record `each` random points of every class for the client "full"."""
    queen(pictures(queen.shape, 1), client="full")
    ledger = queen.ledger("full")
    spread = torch.randn(each * 10, 2, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(10).repeat(each)
    points = ledger.centers[labels] + spread * queen.clusters.radii[labels, None]
    for part in zip(points.split(2000), labels.split(2000), strict=True):
        ledger.observe(*part)


def prime(queen: qr.Queen, images: torch.Tensor) -> None:
    """One recorded point a class is enough to pass a threshold of 0, for the client "r"."""
    queen(images[:1], client="r")
    ledger = queen.ledger("r")
    ledger.observe(ledger.centers + ledger.sensitive[:, None] / 2, torch.arange(10))


def afresh(queen: qr.Queen, batch: torch.Tensor, client: str) -> Callable[[], None]:
    """Ask, then forget: every round starts from the same ledger."""
    known = queen.clients.setdefault(client, queen._client(client))
    start = known.ledger.snapshot()

    def run():
        queen(batch, client=client)
        known.ledger.restore(start)

    return run


def expect(queen: qr.Queen, client: str, batch: torch.Tensor, fresh: bool = False, **counts):
    """Make sure that the regime is what its name says, for every query of the batch."""
    before = queen.report(client)
    start = queen.ledger(client).snapshot()
    queen(batch, client=client)
    if fresh:
        queen.ledger(client).restore(start)
    after = queen.report(client)
    for name, count in counts.items():
        found = after[name] - before[name]
        if abs(found - count) > 0.02 * len(batch):  # two queries may be mapped to one point
            raise RuntimeError(f"{name}: expected {count}, got {found}")


@torch.no_grad()
def ratio(run: Callable, base: Callable, rounds: int) -> list[float]:
    """Time both in turn, `rounds` times; the ratio of each pair."""
    pairs = []
    for round_ in range(rounds + 2):
        times = []
        for task in (run, base) if round_ % 2 else (base, run):
            start = time.perf_counter()
            task()
            times.append(time.perf_counter() - start)
        ours, theirs = times if round_ % 2 else times[::-1]
        pairs.append(ours / theirs)
    return pairs[2:]  # the first rounds warm up


def report(rows: list, victim: str, regime: str, base: str, values: list[float], note: str):
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    print(
        f"  {regime:32s} {middle:9.2f} x {base:15s} (quartiles {low:.2f} to {high:.2f}){note}",
        flush=True,
    )
    rows.append(dict(victim=victim, regime=regime, base=base, median=middle, low=low, high=high))


if __name__ == "__main__":
    main()
