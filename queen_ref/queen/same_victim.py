"""By what a saved QUEEN knows its victim again: the head's logits and the body's features.

Another victim would be defended with shadows and centers that are not its own. Its head is known
by the logits of the centroids, its body by the features of a few images of noise.
"""

import torch
from torch import Tensor

from queen_ref.models import Shape, Victim
from queen_ref.modes import evaluating

PROBES = 4  # images whose features tell one body from another
# Another device, processor or number of threads moves features by 1e-3 of their length; another
# body by its half, one that was trained on by a tenth.
SAME = 0.05


@torch.no_grad()
def centroid_logits(victim: Victim, centroids: Tensor) -> Tensor:
    """The victim's logits (K, K) at its own centroids (K, D).

    >>> centroid_logits(victim, centroids).shape
    torch.Size([10, 10])
    """
    with evaluating(victim):
        return victim.head(centroids).to(centroids.dtype)


@torch.no_grad()
def noise_features(victim: Victim, shape: Shape, like: Tensor) -> Tensor:
    """The victim's features (P, D) of images of noise, in the dtype and on the device of `like`.

    >>> noise_features(victim, queen.shape, centroids).shape
    torch.Size([4, 128])
    """
    images = torch.rand(PROBES, *shape, generator=torch.Generator().manual_seed(0))
    with evaluating(victim):
        return victim.features(images.to(like)).to(like.dtype)


def check_head(victim: Victim, centroids: Tensor, wanted: Tensor) -> None:
    """Demand the head that gave the logits `wanted` (K, K) at the centroids (K, D).

    >>> check_head(victim, centroids, centroid_logits(victim, centroids))
    """
    classes, width = centroids.shape
    fits = getattr(victim.head, "in_features", width) == width
    logits = centroid_logits(victim, centroids) if fits else None
    if logits is None or logits.shape != (classes, classes):
        raise ValueError(f"state: expected a victim of {classes} classes with {width} features")
    if not torch.allclose(logits.cpu(), wanted, rtol=1e-2, atol=1e-2):
        raise ValueError("state: expected the victim it was fitted to, got another one")


def check_body(victim: Victim, shape: Shape, centroids: Tensor, wanted: Tensor) -> None:
    """Demand the body that gave the features `wanted` (P, D) of the noise.

    >>> check_body(victim, queen.shape, centroids, noise_features(victim, queen.shape, centroids))
    """
    found = noise_features(victim, shape, centroids).cpu().double()
    fits = found.shape == wanted.shape
    if not fits or bool(((found - wanted).norm(dim=1) > SAME * wanted.norm(dim=1) + 1e-6).any()):
        raise ValueError("state: expected the victim it was fitted to, got one with another body")
