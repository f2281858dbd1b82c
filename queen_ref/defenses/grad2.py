"""GRAD^2, gradient redirection (Mazeika et al., 2022): push the thief's weights aside.

The defender trains a surrogate of the thief. An answer y moves the surrogate's weights along
G^T y, where row k of G is the gradient of log p_k. GRAD^2 looks for the answer that moves them
farthest into a direction z, the same for all queries, so that the pushes add up:

    max_y'  < G^T y', z >      y' on the simplex,  || y' - y ||_1 <= epsilon.

It is a linear programme with the gains g = G z, and its optimum needs no solver: up to epsilon / 2
of mass goes to the class with the largest gain, and comes from those with the smallest. As in the
released code z is all ones. On a small network these may point to the label itself, so that hardly
an answer changes: then `sign=-1`, all minus ones, is the stronger defence. The answer may have
another label. `GRAD2Keep` adds

    y'_label >= y'_k + margin      for all others

and is solved as ModelGuard-W is: for a given y'_label the best answer is a sorted fill, and its
value is convex in y'_label.

< G^T y, z > is linear in y, and its derivative by y is g. So the gradient of a gradient gives g for
all classes and all images of a batch, and no G is ever written down. The last layer alone would not
do: along all ones its gains are 0, for the rows of G sum to nothing there.

The paper's surrogate learns from the victim's answers to the thief's own images. We do not give
them away to the defender: ours learns from the answers to the victim's training set.
"""

import copy

import torch
from torch import Tensor, nn

from queen_ref.checks import check_choice, check_images, check_number
from queen_ref.defenses.base import Defense
from queen_ref.defenses.modelguard_w import MARGIN, SortedFill, lowest
from queen_ref.metrics import predict
from queen_ref.models import Model, build, dtype_of, shape_of
from queen_ref.training.fit import fit
from queen_ref.training.recipe import Recipe

SURROGATE = Recipe(epochs=10)  # the paper's number of epochs


class GRAD2(Defense):
    """y with mass moved to the class that pushes a thief's weights the most.

    Arguments: `images` (N, C, H, W), on which the surrogate is trained, by the victim's answers;
    `surrogate`, a model with the victim's inputs and classes, in place of that; `epsilon`, the L1
    budget; `sign`, 1 or -1, of z; `seed` of the training.

    >>> probs = GRAD2(victim, train_images, epsilon=1.0)(images)
    """

    name = "grad2"
    on_request = True

    def __init__(
        self,
        victim: Model,
        images: Tensor | None = None,
        seed: int = 0,
        epsilon: float = 1.0,
        surrogate: nn.Module | None = None,
        sign: int = 1,
    ):
        super().__init__(victim)
        check_choice("sign", sign, (1, -1))
        check_number("epsilon", epsilon, low=0, high=2, above=True)
        check_number("seed", seed, low=0, integer=True)
        self.l1_bound, self.epsilon, self.sign = epsilon, epsilon, sign
        if surrogate is None:
            if images is None:
                raise ValueError("surrogate: expected a model, or images to train one on")
            surrogate = train_surrogate(victim, images, seed=int(seed))
        self.surrogate = copy.deepcopy(surrogate).eval().requires_grad_(True)  # for `push`

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        gains = self.sign * push(self.surrogate, images).to(probs)
        if gains.shape != probs.shape:
            raise ValueError(f"probs: expected {gains.shape[1]} classes, got {probs.shape[1]}")
        return self.optimum(probs, gains)

    def optimum(self, probs: Tensor, gains: Tensor) -> Tensor:
        """The best answer (B, K) for answers and gains (B, K)."""
        return redirected(probs, gains, self.epsilon)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(epsilon={self.epsilon}, sign={self.sign})"


class GRAD2Keep(GRAD2):
    """GRAD^2 among the answers that keep the label.

    >>> probs = GRAD2Keep(victim, train_images, epsilon=1.0)(images)
    """

    name = "grad2-keep"
    keeps_label = True

    def optimum(self, probs: Tensor, gains: Tensor) -> Tensor:
        """The best answer (B, K) with the label on top."""
        return redirected_below(probs, gains, self.epsilon)


def train_surrogate(victim: Model, images: Tensor, seed: int = 0) -> nn.Module:
    """A small CNN that imitates the victim on images (N, C, H, W), as a thief would.

    >>> surrogate = train_surrogate(victim, train_images)
    """
    check_images(images)
    answers = predict(victim, images)
    images = images.to(torch.promote_types(images.dtype, torch.float32))
    surrogate = build(SURROGATE.model, shape_of(images), answers.shape[1], seed + 2)
    surrogate = surrogate.to(images.device, images.dtype)
    fit(surrogate, images, answers.to(images.dtype), SURROGATE, seed=seed)
    return surrogate


def push(surrogate: nn.Module, images: Tensor) -> Tensor:
    """g (B, K): how far a unit of each class pushes the surrogate's weights along all ones.

    Arguments: `surrogate`, whose weights require gradients; those they have stay as they are.

    >>> push(victim, images[:40]).shape
    torch.Size([40, 10])
    """
    with torch.enable_grad():
        log_probs = surrogate(images.to(dtype_of(surrogate, images.dtype))).log_softmax(1)
        answers = torch.zeros_like(log_probs, requires_grad=True)
        weights = [*surrogate.parameters()]
        pushed = torch.autograd.grad((answers * log_probs).sum(), weights, create_graph=True)
        along = torch.stack([part.sum() for part in pushed]).sum()
        (gains,) = torch.autograd.grad(along, answers)
    return gains


def redirected(probs: Tensor, gains: Tensor, epsilon: float) -> Tensor:
    """max <g, y'> within epsilon of y, on the simplex: (B, K), (B, K) -> (B, K).

    >>> redirected(torch.tensor([[0.6, 0.3, 0.1]]), torch.tensor([[-1.0, 0.0, 1.0]]), 0.5)
    tensor([[0.3500, 0.3000, 0.3500]])
    """
    order = gains.argsort(dim=1, stable=True)  # who gives first
    there = probs.gather(1, order)
    moved = (1 - there[:, -1:]).clamp(0, epsilon / 2)
    given = (moved - there.cumsum(1) + there).clamp_min(0).minimum(there)
    given[:, -1] = -given[:, :-1].sum(1)
    return torch.empty_like(probs).scatter_(1, order, there - given)


def redirected_below(
    probs: Tensor, gains: Tensor, epsilon: float, margin: float = MARGIN
) -> Tensor:
    """The same where the label stays ahead by `margin`: (B, K), (B, K) -> (B, K).

    >>> redirected_below(torch.tensor([[0.6, 0.3, 0.1]]), torch.tensor([[-2.0, 0.0, 1.0]]), 0.8)
    tensor([[0.3334, 0.3333, 0.3333]])
    """
    y = probs.double().clamp_min(0)
    y = y / y.sum(1, keepdim=True)
    cost = -gains.double()
    cost = cost / cost.abs().amax(1, keepdim=True).clamp_min(torch.finfo(cost.dtype).tiny)
    label = y.argmax(1, keepdim=True)
    order = cost.scatter(1, label, torch.inf).argsort(dim=1, stable=True)[:, :-1]
    fill = SortedFill(
        y.gather(1, order), y.gather(1, label), epsilon / 2, margin, probs.dtype,
        (cost.gather(1, order), cost.gather(1, label)),
    )  # fmt: skip
    top = lowest(fill)
    answer = torch.empty_like(y).scatter_(1, order, fill.rest(top)).scatter_(1, label, top)
    return answer.to(probs)
