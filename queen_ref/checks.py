"""One clear line for a bad input, before anything is counted or changed.

Every public entry point of the package calls one of these first. They raise `ValueError`
and name what was expected; they never repair.
"""

from math import isfinite
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OVERSHOOT = 1e-3  # a resized or decoded picture may leave [0, 1] by a rounding


def check_images(
    images: Tensor,
    shape: tuple[int, ...] | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> None:
    """Demand a non-empty float batch (B, C, H, W) in [0, 1], 8x8 or larger, 1 or 3 channels.

    `shape` (C, H, W), `dtype` and `device`, where given, must match exactly.

    >>> check_images(torch.zeros(2, 1, 28, 28), shape=(1, 28, 28))
    >>> check_images(torch.zeros(0, 1, 28, 28))
    Traceback (most recent call last):
    ValueError: images: expected at least one image, got an empty batch
    """
    check_batch(images, shape)
    check_kind("images", images, dtype, device)
    # One pass and one wait for the device: NaN and infinity show in the extremes.
    low, high = torch.stack(images.detach().aminmax()).tolist()
    if not isfinite(low) or not isfinite(high):
        raise ValueError("images: expected finite numbers in [0, 1], got NaN or infinity")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ValueError(
            "images: expected finite numbers in [0, 1] (a model normalises inside itself), "
            f"got values from {low:.3g} to {high:.3g}"
        )


def check_batch(images: Tensor, shape: tuple[int, ...] | None = None) -> None:
    """The part of `check_images` that looks at no pixel and so waits for no device.

    >>> check_batch(torch.zeros(2, 1, 28, 28))
    """
    if not isinstance(images, Tensor):
        raise ValueError(f"images: expected a torch.Tensor, got {type(images).__name__}")
    if images.ndim != 4:
        raise ValueError(f"images: expected shape (B, C, H, W), got {tuple(images.shape)}")
    if len(images) == 0:
        raise ValueError("images: expected at least one image, got an empty batch")
    if shape is not None and tuple(images.shape[1:]) != tuple(shape):
        raise ValueError(
            f"images: expected shape (B, {', '.join(map(str, shape))}), got {tuple(images.shape)}"
        )
    _, channels, height, width = images.shape
    if channels not in (1, 3) or min(height, width) < 8:
        raise ValueError(
            "images: expected 1 or 3 channels and at least 8x8 pixels, "
            f"got {channels} channels of {height}x{width}"
        )


def check_floats(
    name: str,
    values: Tensor,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> None:
    """Demand finite floating-point numbers, of that dtype and on that device where given."""
    check_kind(name, values, dtype, device)
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")


def check_kind(
    name: str,
    values: Tensor,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> None:
    """The part of `check_floats` that looks at no number: a float tensor, its dtype and device."""
    if not isinstance(values, Tensor):
        raise ValueError(f"{name}: expected a torch.Tensor, got {type(values).__name__}")
    if values.dtype not in FLOATS:
        raise ValueError(f"{name}: expected floating-point numbers, got {values.dtype}")
    if dtype is not None and values.dtype != dtype:
        raise ValueError(f"{name}: expected dtype {dtype}, got {values.dtype}")
    if device is not None and values.device != torch.device(device):
        raise ValueError(f"{name}: expected a tensor on {device}, got one on {values.device}")


def check_labels(labels: Tensor, count: int, num_classes: int | None = None) -> None:
    """Demand `count` integer labels in [0, num_classes).

    >>> check_labels(torch.tensor([0, 3]), count=2, num_classes=3)
    Traceback (most recent call last):
    ValueError: labels: expected integers in [0, 3), got values from 0 to 3
    """
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise ValueError(f"labels: expected a tensor of integers, got {kind}")
    if labels.shape != (count,):
        raise ValueError(f"labels: expected shape ({count},), got {tuple(labels.shape)}")
    if count == 0:
        raise ValueError("labels: expected at least one label, got none")
    low, high = torch.stack(labels.long().aminmax()).tolist()  # one wait for the device
    if low < 0 or (num_classes is not None and high >= num_classes):
        bound = "[0, K)" if num_classes is None else f"[0, {num_classes})"
        raise ValueError(f"labels: expected integers in {bound}, got values from {low} to {high}")


def check_probabilities(name: str, probs: Tensor, tolerance: float = 1e-3) -> None:
    """Demand finite rows (B, K), K >= 2, on the probability simplex, B >= 1."""
    check_kind(name, probs)
    if probs.ndim != 2 or probs.shape[0] == 0 or probs.shape[1] < 2:
        raise ValueError(
            f"{name}: expected shape (B, K) with B >= 1 and K >= 2, got {tuple(probs.shape)}"
        )
    # Half precision cannot hold 1000 summands to 1e-3: allow what its rounding allows.
    tolerance = max(tolerance, probs.shape[1] * torch.finfo(probs.dtype).eps)
    # One wait for the device: NaN and infinity show in the sums.
    lowest, worst = torch.stack([probs.min(), (probs.sum(1) - 1).abs().max()]).tolist()
    if not isfinite(worst):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    if lowest < -tolerance or worst > tolerance:
        raise ValueError(
            f"{name}: expected rows on the probability simplex (non-negative, sum 1), "
            f"got a minimum of {lowest:.3g} and a sum off by {worst:.3g}"
        )


def check_logits(logits: object, count: int) -> None:
    """Demand `count` rows of logits (B, K), K >= 2, of a model. Waits for no device.

    >>> check_logits((torch.zeros(2, 3), None), count=2)
    Traceback (most recent call last):
    ValueError: model: expected logits (B, K) as one tensor, got tuple
    """
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"model: expected logits (B, K) as one tensor, got {type(logits).__name__}"
        )
    if logits.ndim != 2 or logits.shape[0] != count or logits.shape[1] < 2:
        raise ValueError(
            f"model: expected logits ({count}, K) with K >= 2, got {tuple(logits.shape)}"
        )
    check_kind("model: logits", logits)


def are_probabilities(rows: Tensor) -> bool:
    """Is every row (B, K) non-negative with sum 1, as a softmax is and logits are not?

    >>> are_probabilities(torch.tensor([[0.2, 0.8]])), are_probabilities(torch.tensor([[-1.0, 2]]))
    (True, False)
    """
    rows = rows.detach()
    tolerance = max(1e-4, rows.shape[1] * torch.finfo(rows.dtype).eps)
    return bool(((rows >= 0).all() & ((rows.sum(1) - 1).abs() <= tolerance).all()).item())


def check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Demand one of the allowed words.

    >>> check_choice("method", "cosin", ("cosine", "exact"))
    Traceback (most recent call last):
    ValueError: method: expected one of 'cosine', 'exact', got 'cosin'
    """
    if value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"{name}: expected one of {words}, got {value!r}")


def check_number(
    name: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    integer: bool = False,
    above: bool = False,
) -> None:
    """Demand a finite number in [low, high], numpy's too; `above` excludes `low` itself."""
    number = isinstance(value, Integral if integer else Real) and not isinstance(value, bool)
    good = number and value == value and abs(value) != float("inf")
    if good and low is not None:
        good = value > low if above else value >= low
    if good and high is not None:
        good = value <= high
    if not good:
        what = "an integer" if integer else "a number"
        floor = "" if low is None else f" {'>' if above else '>='} {low:g}"
        ceiling = "" if high is None else f" and <= {high:g}"
        raise ValueError(f"{name}: expected {what}{floor}{ceiling}, got {value!r}")


def plain_numbers(settings: object) -> None:
    """Replace numpy's numbers among the fields of a frozen dataclass by Python's.

    They would be refused later: by torch as a seed, by JSON, by a file that may run no code.

    >>> plain_numbers(recipe := qr.Recipe(epochs=np.int64(3))), type(recipe.epochs)
    (None, <class 'int'>)
    """
    for name, value in vars(settings).items():
        if isinstance(value, np.generic):
            object.__setattr__(settings, name, value.item())
