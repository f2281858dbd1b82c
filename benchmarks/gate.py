"""Whom does the drift gate accuse, and after how many queries?

    python -m benchmarks.gate                       profile cpu, seed 0: minutes, printed
    python -m benchmarks.gate --profile smoke --clients 20
    python -m benchmarks.gate --profile photos --seeds 0 1 2 --record book/results/gate.jsonl

Its promise, at most alpha + n alpha^2 of the honest clients with n questions, is a law where each
query is drawn anew from images like those that it learned from ("resampled"). It is none for honest
clients of another kind, and these are measured:

- heavy-tailed: each client has a few images of his own and asks them again and again, so that his
  own share of usual images may lie below the gate's p_0;
- shifted, rotated, darkened: the images have changed since the gate was set.

Then thieves: how many queries of a pool, in an order of their own, until the gate fires. Honest
images are those test images that the gate has not learned from. Victim, map and gate are the
arena's, and come from its cache if they are there.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, rotate

import queen_ref as qr
from queen_ref.arena import Cache, Cell, settings_of
from queen_ref.arena.parts import SharedParts
from queen_ref.arena.provenance import machine, revision, versions
from queen_ref.checks import check_number
from queen_ref.queen.config import GATES
from queen_ref.queen.gate import Gate, Standing

DIGITS = ("mnist", "digits", "mnist+digits", "noise")
POOLS = {"smoke": DIGITS, "cpu": DIGITS, "photos": ("tiny-imagenet", "noise")}
OWN = 20  # images of a heavy-tailed client
THIEVES = 100  # orders of a pool


def shifted(images: Tensor, pixels: int) -> Tensor:
    """Images (B, C, H, W) moved to the right; black comes in.

    >>> shifted(torch.ones(1, 1, 8, 8), 3).mean()
    tensor(0.6250)
    """
    return F.pad(images, [pixels, 0, 0, 0])[..., : images.shape[-1]]


def rotated(images: Tensor, degrees: float) -> Tensor:
    """Images (B, C, H, W) turned to the left; black comes in."""
    return rotate(images, degrees, interpolation=InterpolationMode.BILINEAR)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "as they are": lambda images: images,
    **{f"shifted by {n}": lambda x, n=n: shifted(x, n) for n in (1, 2, 3)},
    **{f"rotated by {n} degrees": lambda x, n=n: rotated(x, n) for n in (10, 20)},
    **{f"darkened to {n}": lambda x, n=n: n * x for n in (0.7, 0.5)},
}


def usual_in(queen: qr.Queen, kind: str, images: Tensor) -> tuple[Gate, Tensor]:
    """The gate of that kind, and its bits of images (N, C, H, W): (N,)."""
    drift = queen.parts.drift(qr.QueenConfig(gate=kind))
    assert drift is not None
    query = queen.look(images)
    inside = queen.new_ledger().judge(query.points, query.labels).inside
    return drift.gate, drift.as_usual(query, inside)


def heavy_tailed(images: int, count: int, length: int, seed: int = 0) -> Iterator[Tensor]:
    """The questions of `count` clients who ask `OWN` images each, again and again: rows (length,).

    >>> [len(rows.unique()) for rows in heavy_tailed(500, count=2, length=1000)]
    [20, 20]
    """
    drawn = torch.Generator().manual_seed(seed)
    for _ in range(count):
        own = torch.randperm(images, generator=drawn)[:OWN]
        yield own[torch.randint(len(own), (length,), generator=drawn)]


def honest(
    queen: qr.Queen, kind: str, images: Tensor, clients: int, questions: int
) -> Iterator[dict[str, Any]]:
    """At how many honest clients the gate fires, for every change of their images."""
    for change, made in CHANGES.items():
        gate, bits = usual_in(queen, kind, made(images))
        streams = heavy_tailed(len(bits), clients, questions)
        yield {
            "who": f"honest, {change}",
            "usual": float(bits.double().mean()),
            "clients": clients,
            "questions": questions,
            "resampled": gate.accused(bits, clients, questions),
            "heavy-tailed": sum(gate.watch(Standing(), bits[r])[1].fired > 0 for r in streams),
        }


def thieves(
    queen: qr.Queen, kind: str, pools: dict[str, Tensor], seed: int
) -> Iterator[dict[str, Any]]:
    """After how many queries of each pool the gate fires: at the 5th, 50th and 95th percentile."""
    drawn = torch.Generator().manual_seed(seed)
    for pool, images in pools.items():
        gate, bits = usual_in(queen, kind, images)
        orders = (torch.randperm(len(bits), generator=drawn) for _ in range(THIEVES))
        caught = sorted(n for rows in orders if (n := gate.watch(Standing(), bits[rows])[1].fired))
        yield {
            "who": pool,
            "usual": float(bits.double().mean()),
            "clients": THIEVES,
            "questions": len(bits),
            "accused": len(caught),
            "after": [caught[int(q * (len(caught) - 1))] for q in (0.05, 0.5, 0.95)]
            if caught
            else [],
        }


def measured(profile: str, seed: int, clients: int, questions: int) -> Iterator[dict[str, Any]]:
    """The lines of a seed: a gate of each kind, honest clients and thieves."""
    pool = settings_of(profile).pool
    parts = SharedParts(Cell(profile, pool, "naive", "random", "queen", seed), Cache())
    data, queen = parts.data, parts.queen
    pools = {name: data.pool(name) for name in POOLS[profile]}
    for kind in GATES:
        drift = queen.parts.drift(qr.QueenConfig(gate=kind))
        assert drift is not None
        gate = drift.gate
        about = {
            "profile": profile, "seed": seed, "gate": kind, "p_0": gate.usual, "p_1": gate.other,
            "alpha": gate.alarm, "promised": gate.promised(questions),
        }  # fmt: skip
        for line in honest(queen, kind, data.test[0][1::2], clients, questions):
            yield about | line
        for line in thieves(queen, kind, pools, seed):
            yield about | line


def in_words(line: dict[str, Any]) -> str:
    """A line as it is printed.

    >>> in_words({"gate": "inside", "who": "digits", "usual": 0.1, "accused": 100, "clients": 100,
    ...           "after": [20, 23, 30]})
    'inside     digits                             0.100 as usual; 100 of 100, after 23 (20 to 30)'
    """
    start = f"{line['gate']:10s} {line['who']:34s} {line['usual']:.3f} as usual; "
    if "resampled" in line:
        found = f"{line['resampled']} resampled, {line['heavy-tailed']} heavy-tailed"
        return f"{start}{found} of {line['clients']} accused"
    after = ", after {1} ({0} to {2})".format(*line["after"]) if line["after"] else ""
    return f"{start}{line['accused']} of {line['clients']}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=tuple(POOLS), default="cpu")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--record", type=Path, help="a file that the lines are added to")
    chosen = parser.parse_args()
    for name in ("clients", "questions"):
        check_number(name, getattr(chosen, name), low=1, integer=True)
    torch.set_num_threads(1)
    where = {"machine": machine("cpu"), "versions": versions(), "git": revision()}
    for seed in chosen.seeds:
        print(f"\n{chosen.profile}, seed {seed}")
        lines = []
        for line in measured(chosen.profile, seed, chosen.clients, chosen.questions):
            print(in_words(line), flush=True)
            lines.append(json.dumps(line | where) + "\n")
        if chosen.record is not None:  # a seed at a time, whole
            with chosen.record.open("a") as file:
                file.writelines(lines)


if __name__ == "__main__":
    main()
