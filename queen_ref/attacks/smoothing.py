"""Smoothing: ask thrice, average once.

A thief who suspects noise asks about every image several times, each time under a random
training augmentation, and averages,

    y~ = (1/3) sum_i  y'(A_i x) .

Noise that depends on the pixels averages out; a bias common to the three does not. It is not
free: a nominal budget of 50 000 images is 150 000 queries, and a defence with a memory sees
each of them.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from queen_ref.checks import check_images, check_number
from queen_ref.progress import progress

TIMES = 3


def ask_smoothed(
    api: Callable[[Tensor], Tensor],
    images: Tensor,
    times: int = TIMES,
    query_batch: int = 128,
    seed: int = 0,
) -> Tensor:
    """Mean answers (N, K) over `times` random augmentations of images (N, C, H, W).

    >>> answers = ask_smoothed(api, images, seed=0)      # api.queries grew by 3 N
    """
    check_images(images)
    check_number("times", times, low=1, integer=True)
    draw = torch.Generator().manual_seed(seed)
    means = []
    for batch in progress(images.split(query_batch), desc="queries"):
        answers = torch.stack([api(augment(batch, draw)) for _ in range(times)])
        means.append(answers.mean(0))
    return torch.cat(means)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """The usual training augmentation: pad with black, crop at random; colour images also flip.

    The padding is an eighth of the shorter side (4 of 32 pixels). Grey images here are digits,
    and a mirrored digit is another sign: they do not flip.

    >>> augment(images, torch.Generator().manual_seed(0)).shape == images.shape
    True
    """
    count, channels, height, width = images.shape
    pad = max(1, min(height, width) // 8)
    corner = torch.randint(2 * pad + 1, (2, count, 1), generator=generator).to(images.device)
    rows = corner[0] + torch.arange(height, device=images.device)  # (B, H)
    columns = corner[1] + torch.arange(width, device=images.device)  # (B, W)
    if channels == 3:
        flip = (torch.rand(count, 1, generator=generator) < 0.5).to(images.device)
        columns = torch.where(flip, columns.flip(1), columns)
    batch = torch.arange(count, device=images.device)[:, None, None]
    # Advanced indices around a slice put the channels last: (B, H, W, C).
    crops = F.pad(images, [pad] * 4)[batch, :, rows[:, :, None], columns[:, None, :]]
    return crops.permute(0, 3, 1, 2).contiguous()
