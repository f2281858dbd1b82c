"""JBDA-TR: a query policy that grows its own images (Juuti et al., 2019, PRADA).

Start with a few pool images. Every round trains a substitute from scratch on all answers so
far and makes three copies of each image, moved by targeted PGD on that substitute,

    x  <-  clip( x - step sign grad_x L(f_s(x), c) ),    step = 1.85 eps / T,

with a fresh random target class c at each of the T steps. Images grow fourfold a round until
the budget is reached: 1000, 4000, 16 000, 50 000. The clip is to [0, 1] *and* to the eps ball
around the pool image where the line of copies began, in pixels: after the last round a query
is still within eps of a natural image. (ModelGuard's code, whose settings these are, draws the ball
around the parent of each copy.)
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from queen_ref.attacks.asking import ask, check_left
from queen_ref.attacks.knowledge import Sizes
from queen_ref.attacks.policies import random_queries
from queen_ref.checks import check_number
from queen_ref.modes import evaluating

COPIES = 3
Ask = Callable[[Tensor], Tensor]  # images -> answers
Train = Callable[[Tensor, Tensor], nn.Module]  # images, answers -> a substitute


class JBDAPolicy:
    """The policy, with as many seeds as the thief's `Sizes` say.

    >>> images, answers = JBDAPolicy()(api, pool, 40, train_substitute, seed=0, sizes=sizes)
    """

    name = "jbda-tr"

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool."""
        return min(budget, sizes.jbda_seeds)

    def __call__(
        self, ask: Ask, pool: Tensor, budget: int, train: Train, seed: int, sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        batch = sizes.query_batch
        return jbda_tr(
            ask, pool, budget, train, seeds=sizes.jbda_seeds, query_batch=batch, seed=seed
        )


def jbda_tr(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    train: Callable[[Tensor, Tensor], nn.Module],
    seeds: int = 1000,
    eps: float = 0.1,
    steps: int = 8,
    query_batch: int = 128,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Exactly `budget` images and their answers: (budget, C, H, W), (budget, K).

    Arguments: `train(images, answers)` gives the substitute of a round; `seeds`, pool images to
    start with (at most the budget); `eps` in pixels of [0, 1]; `steps`, T.
    Errors: `ValueError` when the pool is smaller than the seeds; `BudgetExceeded`, before any
    query, when the API will not answer `budget`.

    >>> train = lambda images, answers: train_substitute(images, answers, seed=0)
    >>> images, answers = jbda_tr(api, pool, budget=160, train=train, seeds=40)
    """
    check_number("budget", budget, low=1, integer=True)
    check_number("seeds", seeds, low=1, integer=True)
    check_number("eps", eps, low=0, above=True)
    check_number("steps", steps, low=1, integer=True)
    check_left(api, budget)
    images = roots = random_queries(pool, min(seeds, budget), seed)
    answers = ask(api, images, query_batch)
    generator = torch.Generator().manual_seed(int(seed))
    while len(images) < budget:
        substitute = train(images, answers)
        # A last round that needs fewer copies draws which ones at random.
        order = torch.randperm(COPIES * len(images), generator=generator)
        order = order[: budget - len(images)]
        parents = (order % len(images)).to(images.device)
        copies = targeted_pgd(substitute, images[parents], roots[parents], eps, steps, generator)
        answers = torch.cat([answers, ask(api, copies, query_batch)])
        images, roots = torch.cat([images, copies]), torch.cat([roots, roots[parents]])
    return images, answers


def targeted_pgd(
    model: nn.Module,
    images: Tensor,
    roots: Tensor,
    eps: float,
    steps: int,
    generator: torch.Generator,
    batch_size: int = 512,
) -> Tensor:
    """Images (N, C, H, W) moved towards random classes, within eps of `roots` and in [0, 1].

    Every step draws another class for every image from `generator` (on the CPU).

    >>> moved = targeted_pgd(model, images, images, eps=0.1, steps=8, generator=generator)
    """
    with evaluating(model):
        parts = zip(images.split(batch_size), roots.split(batch_size), strict=True)
        return torch.cat([_pushed(model, *part, eps, steps, generator) for part in parts])


def _pushed(
    model: nn.Module, x: Tensor, root: Tensor, eps: float, steps: int, generator: torch.Generator
) -> Tensor:
    step = 1.85 * eps / steps
    low, high = (root - eps).clamp_min(0), (root + eps).clamp_max(1)
    x = x.detach()
    for _ in range(steps):
        x.requires_grad_(True)
        with torch.enable_grad():
            logits = model(x)
            targets = torch.randint(logits.shape[1], (len(x),), generator=generator)
            loss = F.cross_entropy(logits, targets.to(x.device), reduction="sum")
            (grad,) = torch.autograd.grad(loss, x)
        x = torch.minimum(torch.maximum(x.detach() - step * grad.sign(), low), high)
    return x
