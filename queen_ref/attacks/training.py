"""Training the substitute: what the thief does with the answers.

The recipe of the literature: soft cross-entropy on the answers y',

    L = - sum_k  y'_k  log softmax(f_s(x))_k ,

SGD, 30 epochs, the learning rate halved every ten. We keep the *last* epoch. Taking the best
epoch on the test set, as published code does, would let the thief look at the exam.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from queen_ref.attacks.asking import ask, check_door
from queen_ref.attacks.policies import random_queries
from queen_ref.attacks.s4l import RotationLoss
from queen_ref.checks import check_images, check_number
from queen_ref.models import Classifier, build, shape_of
from queen_ref.training.fit import fit
from queen_ref.training.recipe import SUBSTITUTE, Recipe, check_recipe


def train_substitute(
    images: Tensor,
    answers: Tensor,
    recipe: Recipe = SUBSTITUTE,
    *,
    seed: int = 0,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
    unlabelled: Tensor | None = None,
    allow_diverged: bool = False,
    begin: Mapping[str, Tensor] | None = None,
) -> Classifier:
    """A new model fitted to answers (N, K) for images (N, C, H, W), on the images' device.

    Arguments: `recipe`, the network and its training; `seed` of the first weights and of the
    shuffles; `after_epoch(epoch, model)`, called after each epoch; `unlabelled`, pool images
    (M, C, S, S), adds the rotation loss of S4L on them; `allow_diverged`, give back a model whose
    weights are no longer finite, for a caller who says so himself; `begin`, weights by their names
    that are not drawn by the seed but taken over.
    Errors: `ValueError` for such a model otherwise.

    >>> answers = api(queries)
    >>> substitute = train_substitute(queries, answers, seed=0)
    """
    check_recipe(recipe)
    substitute = build(recipe.model, shape_of(images), answers.shape[1], seed=seed)
    substitute = substitute.to(images.device, images.dtype)
    substitute.load_state_dict({**substitute.state_dict(), **(begin or {})})
    rotations = None
    if unlabelled is not None:
        check_images(unlabelled)
        rotations = RotationLoss(substitute.feature_dim, unlabelled, recipe.batch_size, seed=seed)
    fit(
        substitute,
        images,
        answers.to(images.dtype),
        recipe,
        seed=seed,
        after_epoch=after_epoch,
        desc="substitute",
        second_loss=rotations,
    )
    if not (allow_diverged or is_finite(substitute)):
        raise ValueError(
            f"substitute: expected finite weights after training, it diverged with {recipe}"
        )
    return substitute


def knockoff(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    recipe: Recipe = SUBSTITUTE,
    *,
    query_batch: int = 128,
    seed: int = 0,
) -> Classifier:
    """KnockoffNets with random queries: send `budget` images, train on the answers.

    Arguments: `api`, any `images -> probabilities`, usually a `BlackBox`; `pool` (N, C, H, W);
    `recipe`, as for `train_substitute`; `query_batch`, images per call.
    Errors: `ValueError` or `BudgetExceeded`, before any query, for what `check_door` refuses.

    >>> api = qr.BlackBox(queen, budget=400)
    >>> substitute = knockoff(api, pool, 400, dataclasses.replace(SUBSTITUTE, epochs=2))
    """
    check_number("query_batch", query_batch, low=1, integer=True)
    check_number("seed", seed, low=0, integer=True)
    check_recipe(recipe)
    queries = random_queries(pool, budget, seed)
    check_door(api, pool, budget)
    answers = ask(api, queries, query_batch)
    return train_substitute(queries, answers, recipe, seed=seed)


@torch.no_grad()
def is_finite(model: nn.Module) -> bool:
    """Whether every weight and every running average is a finite number.

    >>> is_finite(victim)
    True
    """
    return bool(torch.stack([v.isfinite().all() for v in model.state_dict().values()]).all())


def near_chance(share: float, classes: int, count: int) -> bool:
    """Whether guessing among so many classes is right as often, by luck, for so many images.

    The bound is three standard deviations above 1 / K.

    >>> near_chance(0.135, classes=10, count=333), near_chance(0.5, classes=10, count=333)
    (True, False)
    """
    chance = 1 / classes
    return share <= chance + 3 * (chance * (1 - chance) / count) ** 0.5
