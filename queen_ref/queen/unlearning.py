"""Gradient reverse: answer so that the thief's training step unlearns.

A substitute that predicts p and trains on an answer y' with cross-entropy has the logit
gradient p - y'. An honest answer y gives p - y. To turn the step around the answer should be

    t = 2 p - y ,        for which     p - t = -(p - y),

but t has negative entries and is no probability. Two ways back to the simplex:

- "cosine", the paper's: the point of the simplex with the largest cosine to t. It is
  relu(t) / sum(relu(t)), and one-hot at the largest entry if no entry is positive.
- "exact", ours: p + lambda (p - y) with lambda = min(1, largest value that stays in the
  simplex). The gradient is -lambda (p - y): exactly opposite, and shorter.

Neither knows p, the thief's model. A few weak models, the shadows, stand in for it.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_choice, check_floats, check_kind, check_probabilities

METHODS = ("cosine", "exact")


def reverse_gradient(victim_probs: Tensor, shadow_probs: Tensor, method: str = "cosine") -> Tensor:
    """The answer that reverses the thief's step: (B, K), (B, K) -> (B, K) on the simplex.

    Arguments: y and p, rows on the simplex, K >= 2; `method` "cosine" or "exact".
    Errors: `ValueError` for anything else.

    >>> y, p = torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.4, 0.4, 0.2]])
    >>> reverse_gradient(y, p), reverse_gradient(y, p, method="exact")
    (tensor([[0.0000, 0.6364, 0.3636]]), tensor([[0.0000, 0.6400, 0.3600]]))
    """
    check_choice("method", method, METHODS)
    check_pair(victim_probs, shadow_probs)
    return reversed_answer(victim_probs, shadow_probs, method)


def reversed_answer(victim_probs: Tensor, shadow_probs: Tensor, method: str) -> Tensor:
    """`reverse_gradient` of probabilities that are known to be good: nothing is checked."""
    if method == "cosine":
        return angular_projection(2 * shadow_probs - victim_probs)
    step = _step(victim_probs, shadow_probs)[:, None]
    answer = shadow_probs + step * (shadow_probs - victim_probs)
    answer = answer.clamp_min(0)  # the entry that bounds lambda may be -1e-9 instead of 0
    return answer / answer.sum(1, keepdim=True)


def nearest_in_angle(target: Tensor) -> Tensor:
    """argmax over the simplex of cos(s, t): relu(t) / sum(relu(t)); targets (B, K).

    With no positive entry the cosine is largest at the vertex of the largest entry.

    >>> nearest_in_angle(torch.tensor([[0.6, 0.6, -0.2], [-3.0, -1.0, -2.0]]))
    tensor([[0.5000, 0.5000, 0.0000],
            [0.0000, 1.0000, 0.0000]])
    """
    check_floats("target", target)
    return angular_projection(target)


def angular_projection(target: Tensor) -> Tensor:
    """`nearest_in_angle` of numbers that are known to be finite: nothing is checked."""
    positive = target.clamp_min(0)
    total = positive.sum(1, keepdim=True)
    vertex = torch.zeros_like(target).scatter_(1, target.argmax(1, keepdim=True), 1.0)
    return torch.where(total > 0, positive / total.clamp_min(torch.finfo(total.dtype).tiny), vertex)


def reversal_step(victim_probs: Tensor, shadow_probs: Tensor) -> Tensor:
    """lambda of method "exact", in [0, 1]: (B, K), (B, K) -> (B,).

    p + lambda (p - y) stays non-negative while lambda <= p_k / (y_k - p_k) wherever y_k > p_k.
    Near 0 the answer is p itself: reversed in direction, but with hardly any length.

    >>> reversal_step(torch.tensor([[0.9, 0.1]]), torch.tensor([[0.3, 0.7]]))
    tensor([0.5000])
    """
    check_pair(victim_probs, shadow_probs)
    return _step(victim_probs, shadow_probs)


def _step(victim_probs: Tensor, shadow_probs: Tensor) -> Tensor:
    gap = victim_probs - shadow_probs
    limit = torch.where(gap > 0, shadow_probs / gap, torch.inf)
    return limit.amin(1).clamp(0, 1)


def check_pair(victim_probs: Tensor, shadow_probs: Tensor) -> None:
    """Demand two batches of probabilities of one shape, dtype and device."""
    check_probabilities("victim_probs", victim_probs)
    check_probabilities("shadow_probs", shadow_probs)
    if victim_probs.shape != shadow_probs.shape:
        raise ValueError(
            f"shadow_probs: expected shape {tuple(victim_probs.shape)}, "
            f"got {tuple(shadow_probs.shape)}"
        )
    check_kind("shadow_probs", shadow_probs, victim_probs.dtype, victim_probs.device)
