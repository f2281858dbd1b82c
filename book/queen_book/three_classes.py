"""Three classes: what a defence does to a posterior, as a map of the triangle into itself.

For K = 3 the probability simplex is a triangle, and a defence can be drawn whole. Whatever a
defence asks of a model is answered here by a stand-in with fixed probabilities: MAD's proxy, the
model that adaptive misinformation lies with, QUEEN's shadows. So an answer depends on y alone,
and for ModelGuard-S on the queries before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from queen_ref.checks import check_choice, check_number, check_probabilities
from queen_ref.defenses import (
    MAD,
    AdaptiveMisinformation,
    Defense,
    ModelGuardS,
    ModelGuardW,
    ReverseSigmoid,
    Rounding,
    Top1,
)
from queen_ref.queen.unlearning import reverse_gradient

PROXY = (0.30, 0.38, 0.32)  # a network with random weights prefers nothing much
LIE = (0.05, 0.80, 0.15)  # to the label itself, the next class, the one after


@dataclass(frozen=True)
class Strength:
    """The number that a defence can be turned up or down by: what it is called, and its values."""

    symbol: str
    values: tuple[float, ...]
    default: float


EPSILONS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5)
SHADOW = Strength("shadows' p of the label", (0.05, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 0.95), 0.25)
STRENGTHS: dict[str, Strength | None] = {
    "top1": None,
    "rounding": Strength("decimals", (1, 2), 1),
    "reverse-sigmoid": Strength("beta", (0.05, 0.1, 0.21, 0.4, 0.6, 0.8), 0.21),
    "mad": Strength("epsilon", EPSILONS, 1.0),
    "am": Strength("tau", (0.4, 0.5, 0.6, 0.7, 0.8, 0.9), 0.7),
    "modelguard-w": Strength("epsilon", EPSILONS, 1.0),
    "modelguard-s": Strength("epsilon", EPSILONS, 1.0),
    "queen": SHADOW,
    "queen-exact": SHADOW,
}
TITLES = {
    "top1": "top-1",
    "rounding": "rounding",
    "reverse-sigmoid": "Reverse Sigmoid",
    "mad": "MAD-argmax",
    "am": "adaptive misinformation",
    "modelguard-w": "ModelGuard-W",
    "modelguard-s": "ModelGuard-S",
    "queen": "QUEEN, reversed (cosine)",
    "queen-exact": "QUEEN, reversed (exact)",
}


class ConstantClassifier(nn.Module):
    """A stand-in for a classifier: the same probabilities (K,) whatever the image.

    >>> ConstantClassifier((0.5, 0.3, 0.2))(torch.zeros(2, 1, 1, 1)).softmax(1)
    tensor([[0.5000, 0.3000, 0.2000],
            [0.5000, 0.3000, 0.2000]])
    """

    def __init__(self, probs):
        super().__init__()
        self.probs, self.num_classes = tuple(probs), len(probs)

    def forward(self, images: Tensor) -> Tensor:
        return images.new_tensor(self.probs).log().expand(len(images), -1)


class MisinformingClassifier(nn.Module):
    """A stand-in for a misinformation model. Its "images" (B, 3, 1, 1) are the posteriors.

    >>> MisinformingClassifier()(torch.eye(3)[:1, :, None, None]).softmax(1)
    tensor([[0.0500, 0.8000, 0.1500]])
    """

    num_classes = 3

    def forward(self, images: Tensor) -> Tensor:
        label = images.flatten(1).argmax(1, keepdim=True)
        classes = (label + torch.arange(3, device=label.device)) % 3
        lie = images.new_tensor(LIE).log().expand(len(images), -1)
        return torch.zeros_like(lie).scatter_(1, classes, lie)


def make_defense(name: str, strength: float) -> Defense:
    """One of the defences that are classes of `queen_ref.defenses`, with stand-ins, K = 3.

    >>> make_defense("modelguard-w", 0.5).l1_bound
    0.5
    """
    victim = ConstantClassifier((1 / 3, 1 / 3, 1 / 3))
    if name == "mad":
        return MAD(victim, proxy=ConstantClassifier(PROXY), epsilon=strength)
    if name == "am":
        return AdaptiveMisinformation(victim, MisinformingClassifier(), tau=strength)
    if name == "rounding":
        return Rounding(victim, decimals=int(strength))
    if name == "reverse-sigmoid":
        return ReverseSigmoid(victim, beta=strength)
    if name == "modelguard-w":
        return ModelGuardW(victim, epsilon=strength)
    if name == "modelguard-s":
        return ModelGuardS(victim, epsilon=strength)
    return Top1(victim)


@dataclass(frozen=True)
class SimplexMap:
    """Posteriors (B, 3) -> answers (B, 3), and the defence that gives them, if it is an object.

    >>> SimplexMap(lambda probs: probs.flip(1))(torch.tensor([[0.5, 0.3, 0.2]]))
    tensor([[0.2000, 0.3000, 0.5000]])
    """

    reply: Callable[[Tensor], Tensor]
    defense: Any = None

    def __call__(self, probs: Tensor) -> Tensor:
        return self.reply(probs)


def on_simplex(name: str, strength: float | None = None) -> SimplexMap:
    """A defence as a function of posteriors alone: (B, 3) -> (B, 3), in the order of arrival.

    Arguments: `name`, a key of `STRENGTHS`; `strength`, its number, by default the one there.
    QUEEN's answers are the reversed ones, with shadows that give the label `strength` and the
    other two classes equal parts. Errors: `ValueError` for a name or number that does not fit.

    >>> on_simplex("top1")(torch.tensor([[0.5, 0.3, 0.2]]))
    tensor([[1., 0., 0.]])
    """
    check_choice("defense", name, tuple(STRENGTHS))
    known = STRENGTHS[name]
    if strength is None:
        strength = known.default if known else 0.0
    if name.startswith("queen"):
        check_number("strength", strength, low=0, high=1)
        method = "cosine" if name == "queen" else "exact"
        return SimplexMap(lambda y: reverse_gradient(y, shadow_probs(y, strength), method))
    defense = make_defense(name, strength)

    def reply(probs: Tensor) -> Tensor:
        check_probabilities("probs", probs)
        return defense.simulate(probs[:, :, None, None], probs)

    return SimplexMap(reply, defense)


def shadow_probs(probs: Tensor, share: float) -> Tensor:
    """p: the label of each posterior (B, K) gets `share`, the other classes equal parts.

    >>> shadow_probs(torch.tensor([[0.9, 0.1, 0.0]]), share=0.4)
    tensor([[0.4000, 0.3000, 0.3000]])
    """
    rest = (1 - share) / (probs.shape[1] - 1)
    label = probs.argmax(1, keepdim=True)
    return torch.full_like(probs, rest).scatter_(1, label, share)


def simplex_grid(steps: int = 10) -> Tensor:
    """Points spread evenly over the triangle, none on a border and no two entries equal.

    Returns ((steps + 1)(steps + 2) / 2, 3) float64, rows on the simplex.

    >>> simplex_grid(1).shape
    torch.Size([3, 3])
    """
    check_number("steps", steps, low=1, integer=True)
    rows = [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]
    shift = torch.tensor([0.33, 0.21, 0.46], dtype=torch.float64)  # off the lines of a tie
    return (torch.tensor(rows, dtype=torch.float64) + shift) / (steps + 1)
