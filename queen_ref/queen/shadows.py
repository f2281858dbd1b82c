"""Shadows: weak models that stand in for the thief's.

Gradient reverse needs p, the prediction of a substitute nobody but the thief has. QUEEN
trains n small models of its own and takes, for every query, the mean softmax of k_s of them
drawn at random. They are weak on purpose, like a substitute at the start of its training:
where a shadow already agrees with the victim, 2 p - y is close to y and nothing is reversed.

"One epoch" is no measure of weakness: on an easy task it gives a good model. Our rule is the
weakness itself: a shadow trains until it first classifies a given share (one half) of 256 of
its training images correctly, or until a given number of epochs is over.
"""

import hashlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from queen_ref.checks import check_number
from queen_ref.models import build, shape_of
from queen_ref.modes import evaluating
from queen_ref.progress import progress
from queen_ref.training.fit import batches

EXAM = 256  # training images on which the stopping rule is checked


def train_shadow(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    stop_at: float | None = 0.5,
    epochs: int = 5,
    batch_size: int = 256,
    lr: float = 0.01,
    seed: int = 0,
) -> nn.Module:
    """Train `model` in place with SGD (momentum 0.9, weight decay 1e-4) until it is good enough.

    `stop_at` is the accuracy that ends training, checked after every step; `None` trains all
    `epochs`, as the authors do with one.

    >>> shadow = train_shadow(build("small_cnn", (1, 28, 28), 10), images, labels, stop_at=0.5)
    """
    device, labels = next(model.parameters()).device, labels.long()
    shuffle = torch.Generator().manual_seed(int(seed))
    exam = torch.randperm(len(images), generator=shuffle)[:EXAM]
    exam_images, exam_labels = images[exam].to(device), labels[exam].to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    for _ in range(epochs):
        for rows in batches(len(images), batch_size, shuffle):
            model.train()
            loss = F.cross_entropy(model(images[rows].to(device)), labels[rows].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.eval()
            if stop_at is not None and _accuracy(model, exam_images, exam_labels) >= stop_at:
                return model
    return model


class ShadowEnsemble(nn.Module):
    """n shadows; every query is answered by k_s of them.

    >>> shadows = ShadowEnsemble.fit(images, labels, num_classes=10, count=10, seed=0)
    >>> probs = shadows(queries, shadows.choose(queries, per_query=5, seed=0, client="a"))
    """

    def __init__(self, models: list[nn.Module]):
        super().__init__()
        self.models = nn.ModuleList(models).eval().requires_grad_(False)

    @classmethod
    def fit(
        cls,
        images: Tensor,
        labels: Tensor,
        num_classes: int,
        count: int = 10,
        arch: str = "small_cnn",
        seed: int = 0,
        device: torch.device | str | None = None,
        stop_at: float | None = 0.5,
        epochs: int = 5,
        batch_size: int = 256,
        lr: float = 0.01,
    ) -> "ShadowEnsemble":
        """Train `count` shadows that differ by seed; the last four as for `train_shadow`."""
        check_number("count", count, low=1, integer=True)
        check_number("seed", seed, low=0, integer=True)
        seed = int(seed)
        device = images.device if device is None else device
        models: list[nn.Module] = []
        for number in progress(range(count), desc="shadows"):
            own = 1000 * (seed + 1) + number
            model = build(arch, shape_of(images), num_classes, seed=own).to(device, images.dtype)
            models.append(
                train_shadow(model, images, labels, stop_at, epochs, batch_size, lr, seed=own)
            )
        return cls(models)

    def __len__(self) -> int:
        return len(self.models)

    def choose(self, images: Tensor, per_query: int, seed: int, client: str) -> Tensor:
        """Which shadows answer which image: bool (B, n) with exactly `per_query` per row.

        Drawn at random, yet the same for the same (seed, client, image) in any batch.
        """
        check_number("per_query", per_query, low=1, high=len(self), integer=True)
        salt = int.from_bytes(hashlib.blake2b(f"{seed}/{client}".encode(), digest_size=7).digest())
        numbers = torch.arange(len(self), device=images.device)
        scores = scramble(scramble(fingerprint(images)[:, None] + salt) + numbers)  # (B, n)
        chosen = scores.argsort(dim=1, stable=True)[:, :per_query]
        return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, chosen, True)

    @torch.no_grad()
    def forward(
        self,
        images: Tensor,
        chosen: Tensor,
        mean_of: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(1),
    ) -> Tensor:
        """Mean over the chosen shadows (B, n) of `mean_of(logits)`, softmax by default: (B, K).

        Each shadow runs once, on the images that chose it, and in eval mode.
        """
        with evaluating(self):
            return self._mean(images, chosen, mean_of)

    def _mean(self, images: Tensor, chosen: Tensor, mean_of: Callable[[Tensor], Tensor]) -> Tensor:
        total: Tensor | None = None
        for number, model in enumerate(self.models):
            rows = chosen[:, number].nonzero().flatten()
            if len(rows) == 0:
                continue
            answers = mean_of(model(images[rows]))
            if total is None:
                total = answers.new_zeros(len(images), answers.shape[1])
            total.index_add_(0, rows, answers)
        if total is None:
            raise ValueError("chosen: expected at least one shadow for every image, got none")
        return total / chosen.sum(1, keepdim=True)


def fingerprint(images: Tensor) -> Tensor:
    """A 64-bit number per image (B,), from the bits of its pixels; equal images, equal number.

    A random odd weight for every pixel, summed modulo 2^64: one pass, any device, and exact,
    for integers do not round.
    """
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[images.element_size()]
    words = images.flatten(1).contiguous().view(integer).long()
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(-(2**62), 2**62, (words.shape[1],), generator=generator) * 2 + 1
    return (words * weights.to(images.device)).sum(1)


def scramble(numbers: Tensor) -> Tensor:
    """Mix the bits of int64 numbers (the finaliser of splitmix64): alike in, unlike out."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        numbers = (numbers ^ _shift_right(numbers, shift)) * factor
    return numbers ^ _shift_right(numbers, 31)


def _shift_right(numbers: Tensor, bits: int) -> Tensor:
    # torch shifts copies of the sign bit in; splitmix wants zeros.
    return (numbers >> bits) & ((1 << (64 - bits)) - 1)


@torch.no_grad()
def _accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return float((model(images).argmax(1) == labels).float().mean())
