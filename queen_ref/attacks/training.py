"""Training the substitute: what the thief does with the answers.

The recipe of the literature: soft cross-entropy on the answers y',

    L = - sum_k  y'_k  log softmax(f_s(x))_k ,

SGD, 30 epochs, the learning rate halved every ten. We keep the *last* epoch. Taking the best
epoch on the test set, as published code does, would let the thief look at the exam.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from queen_ref.attacks.policies import random_queries
from queen_ref.attacks.s4l import RotationLoss
from queen_ref.checks import check_number
from queen_ref.models import Classifier, build
from queen_ref.progress import progress
from queen_ref.training.fit import fit


def train_substitute(
    images: Tensor,
    answers: Tensor,
    model: str = "small_cnn",
    epochs: int = 30,
    batch_size: int = 128,
    lr: float = 0.1,
    momentum: float = 0.5,
    seed: int = 0,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
    unlabelled: Tensor | None = None,
) -> Classifier:
    """A new model fitted to answers (N, K) for images (N, C, H, W), on the images' device.

    `unlabelled`, pool images (M, C, S, S), adds the rotation loss of S4L on them.

    >>> answers = api(queries)
    >>> substitute = train_substitute(queries, answers, seed=0)
    """
    shape, num_classes = tuple(images.shape[1:]), answers.shape[1]
    substitute = build(model, shape, num_classes, seed=seed)
    substitute = substitute.to(images.device, images.dtype)
    rotations = None
    if unlabelled is not None:
        rotations = RotationLoss(substitute.feature_dim, unlabelled, batch_size, seed=seed)
    fit(
        substitute,
        images,
        answers.to(images.dtype),
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        schedule="step",
        seed=seed,
        after_epoch=after_epoch,
        desc="substitute",
        also=rotations,
    )
    return substitute


def knockoff(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    query_batch: int = 128,
    seed: int = 0,
    **training,
) -> Classifier:
    """KnockoffNets with random queries: send `budget` images, train on the answers.

    Arguments: `api`, any `images -> probabilities`, usually a `BlackBox`; `pool` (N, C, H, W);
    `query_batch`, images per call; `training`, passed to `train_substitute`.

    >>> api = qr.BlackBox(queen, budget=400)
    >>> substitute = knockoff(api, pool, budget=400, epochs=2, seed=0)
    """
    check_number("query_batch", query_batch, low=1, integer=True)
    queries = random_queries(pool, budget, seed)
    answers = ask(api, queries, query_batch)
    return train_substitute(queries, answers, seed=seed, **training)


def ask(api: Callable[[Tensor], Tensor], queries: Tensor, query_batch: int = 128) -> Tensor:
    """Send queries (N, C, H, W) in batches, in order; return the answers (N, K).

    >>> ask(api, queries).shape
    torch.Size([40, 10])
    """
    calls = progress(queries.split(query_batch), desc="queries")
    return torch.cat([api(batch) for batch in calls])
