"""The ordinary answer: towards another class, as far as the label allows.

Most answers of QUEEN are not reversed. They are *perturbed*: the features phi(x) walk
towards mu, the farthest centroid, in steps of length 0.05::

    phi_t = phi(x) + 0.05 t (mu - phi(x)) / ||mu - phi(x)||,        t = 0, 1, ..., 20,

and stop at the last step before the victim's label would change. The answer is the softmax
of the head there: the label is the victim's own, the probabilities are those of a point
nearer to the decision border.

A length means little where features are far apart. With units="relative" a step is 5 % of
the way to mu instead, and the walk can reach the border on any victim.

A linear head makes the logits a straight line too: head(phi_t) moves towards head(mu) at the
pace at which phi_t moves towards mu. No step needs a forward pass of its own.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from queen_ref.checks import check_choice

STEP, MAX_STEPS = 0.05, 20
WALK_UNITS = ("absolute", "relative")


def walk_logits(
    features: Tensor,
    logits: Tensor,
    centroids: Tensor,
    head: Callable[[Tensor], Tensor],
    centroid_logits: Tensor | None = None,
    units: str = "absolute",
) -> tuple[Tensor, Tensor]:
    """Logits where the walk stops (B, K), and the number of steps taken (B,).

    Arguments: `features` (B, D) and their `logits` (B, K); `centroids` (K, D); `head`, for
    features that are not on hand; `centroid_logits` (K, K) = head(centroids) when the head is
    affine, which saves every call of it; `units` of a step: "absolute" (a length, the authors')
    or "relative" (to the way to mu).

    >>> logits, steps = walk_logits(features, head(features), centroids, head)
    >>> probs = logits.softmax(1)           # the perturbed answers, their labels unchanged
    """
    check_choice("walk_units", units, WALK_UNITS)
    distance, farthest = torch.cdist(features, centroids).max(1)
    steps = torch.arange(1, MAX_STEPS + 1, device=logits.device, dtype=logits.dtype) * STEP
    shares = steps.expand(len(logits), -1)  # of the way to mu, (B, T)
    if units == "absolute":
        shares = shares / distance[:, None].clamp_min(torch.finfo(distance.dtype).tiny)
    shares = shares[:, :, None]
    if centroid_logits is not None:
        goal = centroid_logits[farthest]
        path = torch.lerp(logits[:, None], goal[:, None], shares)  # (B, T, K)
    else:
        ray = torch.lerp(features[:, None], centroids[farthest][:, None], shares)
        path = head(ray.flatten(0, 1)).unflatten(0, ray.shape[:2])
    kept = path.argmax(2) == logits.argmax(1, keepdim=True)  # (B, T)
    steps = kept.cumprod(1).sum(1)  # the first change ends the walk
    start_and_path = torch.cat([logits[:, None], path], 1)
    return start_and_path[torch.arange(len(steps), device=steps.device), steps], steps


@torch.no_grad()
def is_affine(head: Callable[[Tensor], Tensor], points: Tensor) -> bool:
    """Does the head map midpoints to midpoints, as a linear layer does? points (N, D), N >= 2.

    >>> is_affine(torch.nn.Linear(8, 3), torch.randn(10, 8))
    True
    """
    first, second = points, points.roll(1, 0)
    middle = head((first + second) / 2)
    expected = (head(first) + head(second)) / 2
    scale = expected.abs().max().clamp_min(1e-12)
    return bool(((middle - expected).abs().max() / scale) < 1e-4)
