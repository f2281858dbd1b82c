"""What an honest client keeps, by how many questions he asks.

A defence with a memory has no one accuracy: it answers the tenth question of a client better than
the thousandth. So fresh clients ask test images in an order of their own, and of each the mean
accuracy of his first n answers is taken, for n from ten to ten thousand. For few questions many
clients are asked, for many a few: the spread is about the same. No image comes twice before all
have come once. Beyond the size of the test set they do come again, and who was answered honestly
is again: there the numbers are bounds from above (a detector may take the repetition itself for a
thief's).

Honest users do not all send what the victim was trained on. `CHANGES` are three whose photographs
differ in a way that nobody would call an attack: a defence that judges by where images come from
may take them for thieves.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from queen_ref.attacks.asking import ask
from queen_ref.blackbox import BlackBox
from queen_ref.checks import check_images, check_labels, check_number
from queen_ref.defenses import Defense
from queen_ref.metrics import protected_accuracy

QUESTIONS = (10, 30, 100, 300, 1000, 3000, 10_000)
CLIENTS = (200, 100, 40, 15, 6, 3, 2)  # who ask so many questions or more
FEW = (20, 10, 4, 2, 1)  # a trial's, up to 1000 questions
DEGREES = 15


def honest_accuracy(
    defense: Defense,
    images: Tensor,
    labels: Tensor,
    clients: Sequence[int] = CLIENTS,
    seed: int = 0,
) -> dict[str, float]:
    """Mean accuracy of the answers to a fresh client's first n questions, by n: {"10": 0.97, ...}.

    Each client meets a defence without any memory, `defense.fresh()`. One that has none answers
    every question alike: its accuracy on the whole test set stands at every n.

    Arguments: `images` (N, C, H, W) and `labels` (N,), the test set; `clients`, how many ask
    `QUESTIONS[i]` or more, in descending order; `seed` of what they ask.

    >>> list(honest_accuracy(rounding, images, labels, clients=(2, 1)))
    ['10', '30']
    """
    check_images(images)
    check_labels(labels, len(images))
    check_number("seed", seed, low=0, integer=True)
    if not 0 < len(clients) <= len(QUESTIONS) or list(clients) != sorted(clients, reverse=True):
        raise ValueError(f"clients: expected up to {len(QUESTIONS)} falling counts, got {clients}")
    questions = QUESTIONS[: len(clients)]
    if not defense.stateful:
        kept = protected_accuracy(BlackBox(defense), images, labels)
        return {str(count): kept for count in questions}
    generator = torch.Generator().manual_seed(int(seed))
    shares: dict[int, list[float]] = {count: [] for count in questions}
    for client in range(clients[0]):
        mine = [n for n, many in zip(questions, clients, strict=True) if client < many]
        rounds = -(-mine[-1] // len(images))
        orders = [torch.randperm(len(images), generator=generator) for _ in range(rounds)]
        rows = torch.cat(orders)[: mine[-1]].to(images.device)
        api = BlackBox(defense.fresh(), client="honest")
        said = torch.cat([ask(api, images[part], 256).argmax(1) for part in rows.split(2048)])
        right = (said == labels[rows].to(said)).double().cumsum(0)
        for count in mine:
            shares[count].append(float(right[count - 1]) / count)
    return {str(count): sum(found) / len(found) for count, found in shares.items()}


def shifted(images: Tensor) -> Tensor:
    """Images (N, C, H, W) moved down and to the right by an eighth of their sides; black comes in.

    >>> shifted(torch.ones(1, 1, 8, 8))[0, 0, :3, :3]
    tensor([[0., 0., 0.],
            [0., 1., 1.],
            [0., 1., 1.]])
    """
    down, right = images.shape[2] // 8, images.shape[3] // 8
    moved = F.pad(images, (right, 0, down, 0))
    return moved[:, :, : images.shape[2], : images.shape[3]].contiguous()


def rotated(images: Tensor) -> Tensor:
    """Images (N, C, H, W) turned by 15 degrees about their middle; black comes in at the corners.

    >>> float(rotated(torch.ones(1, 1, 32, 32))[0, 0, 0, 0])
    0.0
    """
    cos, sin = (f(math.radians(DEGREES)) for f in (math.cos, math.sin))
    high, wide = images.shape[2:]
    # In units of half a side, so that a picture that is no square is turned and not bent.
    turn = images.new_tensor([[cos, -sin * high / wide, 0.0], [sin * wide / high, cos, 0.0]])
    parts = []
    for part in images.split(1000):
        grid = F.affine_grid(turn.expand(len(part), 2, 3), list(part.shape), align_corners=False)
        parts.append(F.grid_sample(part, grid, align_corners=False).clamp(0, 1))
    return torch.cat(parts)


def darkened(images: Tensor) -> Tensor:
    """Images half as bright.

    >>> darkened(torch.ones(1, 1, 1, 2))
    tensor([[[[0.5000, 0.5000]]]])
    """
    return images / 2


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "shifted": shifted,
    "rotated": rotated,
    "darkened": darkened,
}
