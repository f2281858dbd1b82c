"""What QUEEN and its rivals ask of a classifier, tried at the door on a few images."""

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, nn

from queen_ref.checks import are_probabilities, check_logits
from queen_ref.modes import evaluating

Shape = tuple[int, int, int]  # of an image: (C, H, W)
Model = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> logits (B, K)


class Victim(Protocol):
    """A classifier in two pieces, of one's own or of `build`: ``f(x) = head(features(x))``.

    QUEEN asks for features and head; the other defences call the whole. Nothing needs to be
    inherited, and a victim need not be a module.
    """

    def features(self, images: Tensor) -> Tensor:
        """phi(x): images (B, C, H, W) -> features (B, D)."""

    @property
    def head(self) -> Callable[[Tensor], Tensor]:
        """Features (B, D) -> logits (B, K)."""

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> logits (B, K)."""


def check_victim(victim: object, *methods: str) -> None:
    """Demand a victim with these methods.

    >>> check_victim(lambda images: images, "features", "head")
    Traceback (most recent call last):
    ValueError: victim: expected a method .features, see queen_ref.models.Victim
    """
    wrapped = isinstance(victim, nn.DataParallel | nn.parallel.DistributedDataParallel)
    for name in methods:
        if not callable(getattr(victim, name, None)):
            what = f"a method .{name}, see queen_ref.models.Victim"
            raise ValueError(
                f"victim: expected {what}"
                + (f"; pass the .module of {type(victim).__name__}" if wrapped else "")
            )


@torch.no_grad()
def try_victim(victim: Victim, images: Tensor) -> int:
    """K of a victim, after a look at what it makes of images (B, C, H, W), in eval mode.

    Logits may be shifted by a constant: a victim may answer log-probabilities.
    Errors: `ValueError` for one that lacks a method, answers in other shapes or with
    probabilities, cannot take the images, or is not its head after its features.

    >>> try_victim(victim, images[:2])
    10
    """
    check_victim(victim, "features", "head")
    with evaluating(victim):
        features = _asked(victim.features, images)
        # Under autocast inside the victim features have half the digits of the head's weights.
        logits = _asked(victim.head, features.to(images.dtype)) if is_matrix(features) else None
        if not is_matrix(features) or not is_matrix(logits) or logits.shape[1] < 2:
            raise ValueError(
                "victim: expected features (B, D) and logits (B, K) with K >= 2, "
                f"got {_said(features)} and {_said(logits)}"
            )
        whole = _asked(victim, images) if callable(victim) else None
        check_answer(lambda x: victim.head(victim.features(x).to(x.dtype)), images, logits)
    if whole is not None:
        check_logits(whole, len(images))
        ours, theirs = log_probabilities(logits), log_probabilities(whole)
        half = min(torch.finfo(rows.dtype).bits for rows in (features, logits, whole)) < 32
        reach = (5e-2 if half else 1e-3) * theirs.abs().max().clamp_min(1)
        if ours.shape != theirs.shape or not bool((ours - theirs).abs().max() <= reach):
            raise ValueError(
                "victim: expected victim(x) = victim.head(victim.features(x)), got other answers"
            )
    return logits.shape[1]


@torch.no_grad()
def check_answer(model: Model, images: Tensor, logits: object) -> None:
    """Demand logits (B, K) of what a model has answered to images (B, C, H, W).

    Rows that look like probabilities may be logits by accident: then a black and a white image
    decide. Others cost no forward.

    >>> check_answer(lambda x: victim(x).softmax(1), images, victim(images).softmax(1))
    Traceback (most recent call last):
    ValueError: model: expected logits (or log-probabilities), got probabilities...
    """
    check_logits(logits, len(images))
    assert isinstance(logits, Tensor)
    if are_probabilities(logits):
        black, white = torch.zeros_like(images[:1]), torch.ones_like(images[:1])
        if are_probabilities(model(torch.cat([black, white]))):
            raise ValueError(
                "model: expected logits (or log-probabilities), got probabilities: "
                "leave the softmax out"
            )


def is_matrix(values: object) -> TypeGuard[Tensor]:
    """One tensor of floats with two dimensions?

    >>> is_matrix(torch.zeros(2, 3)), is_matrix((torch.zeros(2, 3),))
    (True, False)
    """
    return isinstance(values, Tensor) and values.ndim == 2 and values.is_floating_point()


def probabilities(logits: Tensor) -> Tensor:
    """Softmax of logits (B, K), in single precision at least: defences compute with it.

    >>> probabilities(torch.zeros(1, 2, dtype=torch.float16))
    tensor([[0.5000, 0.5000]])
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(1)


def log_probabilities(logits: Tensor) -> Tensor:
    """log softmax of logits (B, K), in single precision at least.

    >>> log_probabilities(torch.zeros(1, 2)).exp()
    tensor([[0.5000, 0.5000]])
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(1)


def shape_of(images: Tensor) -> Shape:
    """(C, H, W) of images (B, C, H, W).

    >>> shape_of(torch.zeros(5, 1, 28, 28))
    (1, 28, 28)
    """
    _, channels, height, width = images.shape
    return channels, height, width


def check_shape(shape: tuple[int, ...]) -> Shape:
    """Demand (C, H, W) with 1 or 3 channels, from 8x8 up, and give it back.

    >>> check_shape((2, 8, 8))
    Traceback (most recent call last):
    ValueError: shape: expected (C, H, W) with 1 or 3 channels, from 8x8 up, got (2, 8, 8)
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < 8:
        raise ValueError(
            f"shape: expected (C, H, W) with 1 or 3 channels, from 8x8 up, got {tuple(shape)}"
        )
    channels, height, width = shape
    return channels, height, width


def device_of(model: object, default: torch.device | str) -> torch.device:
    """The device of a module's weights, or `default` for anything else.

    >>> device_of(victim, "cpu")
    device(type='cpu')
    """
    weights = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device(default))


def dtype_of(model: object, default: torch.dtype) -> torch.dtype:
    """The dtype of a module's weights, or `default` for anything else.

    >>> dtype_of(victim, torch.float64)
    torch.float32
    """
    weights = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((weight.dtype for weight in weights), default)


def _asked(part: Callable[[Tensor], Any], values: Tensor) -> Any:
    try:
        return part(values)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:  # torch's, of a layer that others were meant for
        why = str(error).strip().splitlines()[0]
        raise ValueError(
            f"victim: expected one that answers inputs {tuple(values.shape)}, it says: {why}"
        ) from error


def _said(values: object) -> object:
    return tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
