"""The usual training augmentation: random crops and mirror images, for a whole batch at once.

An image is padded with black by an eighth of its shorter side (4 of 32 pixels), and cut back to
its size at a random place. Colour images are mirrored with probability one half. Grey images
here are digits, and a mirrored digit is another sign: they are not.

All of it is one gather on the images' own device. A loop over the images would keep a GPU
waiting.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) under random crops, colour images also mirrored; same shape and device.

    Arguments: `generator`, the CPU's whatever the device, so a seed means the same everywhere.

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
