"""Three regions of the plane, and queries in, on the rim of and around them. Not a test module."""

import torch

CENTERS = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 5.0]], dtype=torch.float64)
RADII = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)


def queries(count, seed, spread=1.0):
    """Points that fall inside, on the rim and outside, clumped enough to collide."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    offsets = torch.randn(count, 2, generator=generator, dtype=torch.float64) * spread
    return CENTERS[labels] + offsets * RADII[labels][:, None], labels
