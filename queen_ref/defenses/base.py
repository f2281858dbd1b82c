"""What all defences have in common: a victim behind, an answer in front, and their promises.

A defence is one function y' = answer(x, y) of the images and of the victim's softmax. The rest
is bookkeeping, and it is here.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from queen_ref.checks import check_images, check_number, check_probabilities
from queen_ref.defenses.chunks import chunks, joined
from queen_ref.models import Model, check_answer, check_victim, probabilities
from queen_ref.modes import evaluating


class Defense(ABC):
    """y' = answer(x, y), in front of a victim that maps images (B, C, H, W) to logits (B, K).

    A defence inherits and writes `answer`. What it promises, on every answer and for every K
    from 2 up, stands in its attributes:

    - `name`: its name in `queen_ref.defenses.DEFENSES`;
    - `l1_bound`: ``sum_k |y_k - y'_k|`` is never above it; `None`: no promise;
    - `keeps_label`: the likeliest class stays the likeliest;
    - `stateful`: answers depend on earlier queries;
    - `flags`: what a reader of a result must know;
    - `copy_flags`: what a thief's copy of it holds that no thief could have: a reader of an
      adaptive attack must know it.

    Arguments: `victim`. Every answer is given in eval mode, and the victim's own is put back.
    Errors: `ValueError` for a victim that lacks one of the methods in `asks_victim`, and at the
    first answer for one that answers anything but logits, and for an `answer` that gives no
    probabilities, or breaks a promise.

    >>> defense = Rounding(victim)
    >>> probs = defense(images)         # (B, C, H, W) -> (B, K)
    """

    victim: Model
    name: str
    l1_bound: float | None = None
    keeps_label: bool = False
    stateful: bool = False
    flags: tuple[str, ...] = ()
    copy_flags: tuple[str, ...] = ()
    asks_victim: tuple[str, ...] = ("__call__",)
    _tried = False  # whether the victim has shown that it answers logits
    _heard = False  # whether the defence has shown that it answers as promised

    def __init__(self, victim: Model):
        check_victim(victim, *self.asks_victim)
        self.victim = victim

    @abstractmethod
    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        """y' (B, K) for images (B, C, H, W) and the victim's y (B, K), both checked."""

    @torch.no_grad()
    def __call__(self, images: Tensor, client: str = "default") -> Tensor:
        """Answer a batch (B, C, H, W) from one client, in the order of arrival: (B, K).

        Only a defence with a memory per client cares who asks.
        Errors: `ValueError` for anything but images in [0, 1] of the victim's dtype, on its device.
        """
        self.check(images)
        with evaluating(*self._models()):
            return self.serve(images, client)

    def _models(self) -> list[object]:
        """Whatever runs in an answer, in eval mode: the victim and the modules kept beside it."""
        kept: list[object] = []
        for value in vars(self).values():
            kept += value if isinstance(value, list | tuple) else [value]
        return [model for model in kept if model is self.victim or isinstance(model, nn.Module)]

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
        probs = self._clean(images)
        if self.stateful:  # in one go, for a batch that fails must leave no trace
            return self._first_heard(self.answer(images, probs), probs)
        pieces = ((images[rows], probs[rows]) for rows in chunks(len(images)))
        return joined(self._first_heard(self.answer(x, y), y) for x, y in pieces)

    def _clean(self, images: Tensor) -> Tensor:
        """The victim's softmax (B, K), looked at."""
        parts = []
        for rows in chunks(len(images)):
            logits = self.victim(images[rows])
            if not self._tried:  # once: another look would wait for the device
                check_answer(self.victim, images[rows], logits)
                self._tried = True
            parts.append(probabilities(logits))
        probs = joined(parts)
        check_probabilities("probs", probs)  # finite pixels can still overflow in a victim
        return probs

    def _first_heard(self, answers: Tensor, probs: Tensor) -> Tensor:
        if not self._heard:  # once, for it waits for the device
            check_promised(self, probs, answers)
            self._heard = True
        return answers

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
        with evaluating(*self._models()):
            return self.answer(images, as_computed(probs)).to(probs.dtype)

    def fresh(self) -> "Defense":
        """The same defence with no memory. Without one, that is the defence itself."""
        return self

    def report(self, client: str = "default") -> dict[str, int]:
        """Counters, where the defence has some; "fired", if there, is the number of a query."""
        return {}

    def __repr__(self) -> str:
        hidden = ("l1_bound", "keeps_label")
        seen = {k: v for k, v in vars(self).items() if k[0] != "_" and k not in hidden}
        shown = (f"{k}={v!r}" for k, v in seen.items() if _plain(v))
        return f"{type(self).__name__}({', '.join(shown)})"


def check_promised(defense: Defense, probs: Tensor, answers: object) -> None:
    """Demand answers (B, K) on the simplex that keep what the defence promises of them.

    Of classes that the victim tells apart by a rounding only, any may lead.

    >>> check_promised(qr.NoDefense(victim), torch.eye(2), torch.eye(2).flip(1))
    Traceback (most recent call last):
    ValueError: none: promised keeps_label, but another class leads in 2 of 2 answers
    """
    name = getattr(defense, "name", type(defense).__name__)
    shape = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
    if not isinstance(answers, Tensor) or shape != tuple(probs.shape):
        raise ValueError(f"{name}: expected answers {tuple(probs.shape)}, got {shape}")
    check_probabilities(f"{name}: answers", answers)
    slack, bound = max(1e-5, 4 * torch.finfo(answers.dtype).eps), defense.l1_bound
    lead = probs.topk(2, 1).values
    own = answers.gather(1, probs.argmax(1, keepdim=True))[:, 0]
    lost = (own < answers.amax(1) - slack) & (lead[:, 0] - lead[:, 1] > slack)
    if defense.keeps_label and bool(lost.any()):
        raise ValueError(
            f"{name}: promised keeps_label, but another class leads in {int(lost.sum())} of "
            f"{len(lost)} answers"
        )
    moved = float((answers - probs).abs().sum(1).max())
    if bound is not None and moved > bound + answers.shape[1] * slack:
        raise ValueError(f"{name}: promised l1_bound {bound:g}, but an answer moved by {moved:.3g}")


def as_computed(probs: Tensor) -> Tensor:
    """Probabilities in single precision at least, in which a defence computes.

    >>> as_computed(torch.tensor([[0.5, 0.5]], dtype=torch.float16)).dtype
    torch.float32
    """
    return probs.to(torch.promote_types(probs.dtype, torch.float32))


def num_classes(victim: object) -> int | None:
    """K of a victim that says so, as those of `queen_ref.models` do; else `None`."""
    return getattr(victim, "num_classes", None)


def classes_of(name: str, victim: object, classes: int | None = None) -> int:
    """K of a victim: its `num_classes`, the width of its last layer, or the keyword `classes`.

    The last layer is certain where it is called `head`, or stands last in an `nn.Sequential`.
    Errors: `ValueError` where nobody says K, and where two say different ones.

    >>> classes_of("reverse-sigmoid", nn.Sequential(nn.Flatten(), nn.Linear(64, 100)))
    100
    """
    if classes is not None:
        check_number("classes", classes, low=2, integer=True)
    last = getattr(victim, "head", victim)
    while isinstance(last, nn.Sequential) and len(last):
        last = last[-1]
    known: int | None = num_classes(victim) or getattr(last, "out_features", None)
    if classes is not None and known is not None and classes != known:
        raise ValueError(f"classes: expected the victim's {known}, got {classes}")
    found = classes or known
    if found is None:
        raise ValueError(f"{name}: expected classes=K, this victim does not say how many it has")
    return found


def _plain(value: object) -> bool:
    return isinstance(value, (int, float, str))
