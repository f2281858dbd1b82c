"""Used discs: stay where you have been.

QUEEN's ledger records a query of the sensitive disc, and whatever falls within r of a record later
is *known*: it costs nothing and is answered honestly, however full the ledger is. So a thief fills
his free budget with seeds and then asks about small changes of the same seeds only,

    x~ = clip( shift(x) + u ),    |u| <= 0.02 ,

the pixels' noise u, and the shift if there is one, drawn at random. The rule protects an honest
user who asks about one image again and again, and it must; here it also protects the thief.

What small means decides all. Noise that nobody sees stays in the discs and teaches nothing that
the seeds have not taught; a shift by a pixel, from which a copy would learn something, already
leads out of them. So the method shifts nothing, unless told to.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from queen_ref.attacks.knowledge import Sizes
from queen_ref.attacks.policies import FREE, random_queries
from queen_ref.checks import check_number

NOISE = 0.02  # of [0, 1]


class UsedDiscsPolicy:
    """The policy: seeds inside the free budget, and small changes of them.

    Arguments: `shift`, pixels that they are moved by at most; `noise`, of the range [0, 1].

    >>> images, answers = UsedDiscsPolicy()(api, pool, 100, None, seed=0)
    """

    name = "used-discs"
    on_request = True

    def __init__(self, shift: int = 0, noise: float = NOISE):
        check_number("shift", shift, low=0, integer=True)
        check_number("noise", noise, low=0, high=1)
        self.shift, self.noise = int(shift), noise

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool."""
        return min(budget, FREE)

    def __call__(
        self,
        ask: Callable[[Tensor], Tensor],
        pool: Tensor,
        budget: int,
        train: object,
        seed: int,
    ) -> tuple[Tensor, Tensor]:
        seeds = random_queries(pool, min(budget, FREE), seed)
        answers = ask(seeds)
        if budget == len(seeds):
            return seeds, answers
        generator = torch.Generator().manual_seed(seed)
        again = torch.arange(budget - len(seeds), device=seeds.device) % len(seeds)
        copies = nearby(seeds[again], generator, self.shift, self.noise)
        return torch.cat([seeds, copies]), torch.cat([answers, ask(copies)])


def nearby(
    images: Tensor, generator: torch.Generator, shift: int = 0, noise: float = NOISE
) -> Tensor:
    """Images (N, C, H, W) each moved by up to `shift` pixels, with `noise` added, in [0, 1].

    What moves in is black. Arguments: `generator`, the CPU's whatever the device.

    >>> nearby(images, torch.Generator().manual_seed(0)).shape == images.shape
    True
    """
    count, _, height, width = images.shape
    dx, dy = torch.randint(2 * shift + 1, (2, count), generator=generator).to(images.device)
    padded = F.pad(images, [shift] * 4)
    moved = torch.empty_like(images)
    for x in range(2 * shift + 1):
        for y in range(2 * shift + 1):
            rows = (dx == x) & (dy == y)
            moved[rows] = padded[rows, :, y : y + height, x : x + width]
    u = torch.rand(images.shape, generator=generator).to(images)
    return (moved + noise * (2 * u - 1)).clamp(0, 1)
