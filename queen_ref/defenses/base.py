"""What all defences have in common: a victim behind, an answer in front, and their promises.

A defence is one function y' = answer(x, y) of the images and of the victim's softmax. The rest
is bookkeeping, and it is here.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from queen_ref.checks import check_images, check_probabilities
from queen_ref.models import Model, check_victim


class Defense(ABC):
    """y' = answer(x, y), in front of a victim that maps images (B, C, H, W) to logits (B, K).

    A defence inherits and writes `answer`. What it promises, on every answer and for every K
    from 2 up, stands in its attributes:

    - `name`: its name in `queen_ref.defenses.DEFENSES`;
    - `l1_bound`: ``sum_k |y_k - y'_k|`` is never above it; `None`: no promise;
    - `keeps_label`: the likeliest class stays the likeliest;
    - `stateful`: answers depend on earlier queries;
    - `flags`: what a reader of a result must know.

    Arguments: `victim`, put into eval mode if it is a module.
    Errors: `ValueError` for a victim that lacks one of the methods in `asks_victim`.

    >>> defense = Rounding(victim)
    >>> probs = defense(images)         # (B, C, H, W) -> (B, K)
    """

    victim: Model
    name: str
    l1_bound: float | None = None
    keeps_label: bool = False
    stateful: bool = False
    flags: tuple[str, ...] = ()
    asks_victim: tuple[str, ...] = ("__call__",)

    def __init__(self, victim: Model):
        check_victim(victim, *self.asks_victim)
        self.victim = victim.eval() if isinstance(victim, nn.Module) else victim

    @abstractmethod
    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        """y' (B, K) for images (B, C, H, W) and the victim's y (B, K), both checked."""

    @torch.no_grad()
    def __call__(self, images: Tensor, client: str = "default") -> Tensor:
        """Answer a batch (B, C, H, W) from one client, in the order of arrival: (B, K).

        Only a defence with a memory per client cares who asks.
        Errors: `ValueError` for anything but finite images of the victim's dtype, on its device.
        """
        self.check(images)
        return self.serve(images, client)

    def check(self, images: Tensor) -> None:
        """The door of `__call__`: behind it nobody looks at the images' kind again."""
        weights = self.victim.parameters() if isinstance(self.victim, nn.Module) else iter(())
        weight = next(weights, None)
        if weight is None:
            check_images(images)
        else:
            check_images(images, dtype=weight.dtype, device=weight.device)

    def serve(self, images: Tensor, client: str) -> Tensor:
        """`__call__` behind its door: the victim's softmax, and what becomes of it, (B, K)."""
        probs = self.victim(images).softmax(1)
        check_probabilities("probs", probs)  # finite pixels can still overflow in a victim
        return self.answer(images, probs)

    @torch.no_grad()
    def simulate(self, images: Tensor, probs: Tensor) -> Tensor:
        """The answers if the victim's softmax for `images` were `probs` (B, K): (B, K).

        This is what an adaptive attacker does with a copy of the defence. Most defences look at
        `probs` alone. A defence with a memory remembers these queries: use it on `fresh()`.

        >>> answers = defense.fresh().simulate(images, shadow(images).softmax(1))
        """
        check_probabilities("probs", probs)
        if len(images) != len(probs):
            raise ValueError(f"probs: expected {len(images)} rows, one per image, got {len(probs)}")
        return self.answer(images, probs)

    def fresh(self) -> "Defense":
        """The same defence with no memory. Without one, that is the defence itself."""
        return self

    def report(self, client: str = "default") -> dict[str, int]:
        """Counters, where the defence has some."""
        return {}

    def __repr__(self) -> str:
        hidden = ("l1_bound", "keeps_label")
        shown = (f"{k}={v!r}" for k, v in vars(self).items() if k not in hidden and _plain(v))
        return f"{type(self).__name__}({', '.join(shown)})"


def num_classes(victim: Model) -> int | None:
    """K of a victim that says so, as those of `queen_ref.models` do; else `None`."""
    return getattr(victim, "num_classes", None)


def _plain(value: object) -> bool:
    return isinstance(value, (int, float, str))
