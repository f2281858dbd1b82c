"""Whom does the drift gate accuse, and after how many queries?

    python -m benchmarks.gate                       profile cpu, seed 0: minutes, printed
    python -m benchmarks.gate --profile smoke --clients 20

Its promise, at most alpha + n alpha^2 of the honest clients with n questions, is a law where each
query is drawn anew from images like those that it learned from ("resampled"). It is none for honest
clients of another kind, and these are measured:

- heavy-tailed: each client has a few images of his own and asks them again and again, so that his
  own share of usual images may lie below the gate's p_0;
- shifted, rotated, darkened: the images have changed since the gate was set.

Then thieves: how many queries of a pool, in an order of their own, until the gate fires. Honest
images are those test images that the gate has not learned from.
"""

import argparse
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, rotate

import queen_ref as qr
from queen_ref.checks import check_number
from queen_ref.queen.config import GATES
from queen_ref.queen.gate import Gate, Standing

POOLS = ("digits", "mnist+digits", "noise")
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


def fitted(profile: str, seed: int) -> tuple[qr.data.Data, qr.Queen]:
    """Data, and a QUEEN before the profile's victim that knows every other test image."""
    data = qr.data.load(profile, seed)
    victim = qr.models.build("small_cnn", data.shape, data.num_classes, seed=seed)
    qr.training.fit(victim, *data.train, qr.Recipe(epochs=10), seed=seed)
    # The shadows have no part in it.
    config = qr.QueenConfig(shadows=1, shadows_per_query=1, shadow_epochs=1)
    held_out = data.test[0][::2]
    return data, qr.Queen.fit(victim, *data.train, config, seed, held_out=held_out)


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


def honest(queen: qr.Queen, kind: str, images: Tensor, clients: int, questions: int) -> None:
    """Print at how many honest clients the gate fires, for every change of their images."""
    for change, made in CHANGES.items():
        gate, bits = usual_in(queen, kind, made(images))
        if change == "as they are":
            print(f"\n{kind}: {gate}; promised {gate.promised(questions):.4f} of the resampled")
        resampled = gate.accused(bits, clients, questions)
        streams = heavy_tailed(len(bits), clients, questions)
        repeated = sum(gate.watch(Standing(), bits[rows])[1].fired > 0 for rows in streams)
        print(f"  honest, {change}: {float(bits.double().mean()):.3f} as usual; accused "
              f"{resampled} of {clients} resampled, {repeated} heavy-tailed")  # fmt: skip


def thieves(queen: qr.Queen, kind: str, data: qr.data.Data, seed: int) -> None:
    """Print after how many queries of each pool the gate fires."""
    drawn = torch.Generator().manual_seed(seed)
    for pool in POOLS:
        gate, bits = usual_in(queen, kind, data.pool(pool))
        orders = (torch.randperm(len(bits), generator=drawn) for _ in range(THIEVES))
        fired = [gate.watch(Standing(), bits[rows])[1].fired for rows in orders]
        caught = sorted(n for n in fired if n)
        some = [caught[int(q * (len(caught) - 1))] for q in (0.05, 0.5, 0.95)] if caught else []
        after = f" after {some[1]} queries ({some[0]} to {some[2]})" if some else ""
        print(f"  {pool}: {float(bits.double().mean()):.3f} as usual; {len(caught)} of {THIEVES} "
              f"accused within {len(bits)}{after}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=("smoke", "cpu"), default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=1000)
    chosen = parser.parse_args()
    for name in ("clients", "questions"):
        check_number(name, getattr(chosen, name), low=1, integer=True)
    torch.set_num_threads(1)
    data, queen = fitted(chosen.profile, chosen.seed)
    for kind in GATES:
        honest(queen, kind, data.test[0][1::2], chosen.clients, chosen.questions)
        thieves(queen, kind, data, chosen.seed)


if __name__ == "__main__":
    main()
