"""Smoothing: ask thrice, average once.

A thief who suspects noise asks about every image several times, each time under a random
training augmentation, and averages,

    y~ = (1/3) sum_i  y'(A_i x) .

Noise that depends on the pixels averages out; a bias common to the three does not. It is not
free: a nominal budget of 50 000 images is 150 000 queries, and a defence with a memory sees
each of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from queen_ref.attacks.asking import check_left
from queen_ref.checks import check_images, check_number
from queen_ref.progress import progress
from queen_ref.training.augmentation import augment

TIMES = 3
MORE_QUERIES = "more queries sent than the nominal budget"


class Smoothing:
    """The recovery: all its work is in how it asks. It moves images, so it chooses none.

    >>> labels = Smoothing()(images, answers)       # the means, as they came
    """

    policies = ("random",)
    flags = (MORE_QUERIES,)
    times = TIMES

    def ask(
        self, api: Callable[[Tensor], Tensor], images: Tensor, query_batch: int, seed: int
    ) -> Tensor:
        """Mean answers (N, K) for images (N, C, H, W)."""
        return ask_smoothed(api, images, query_batch=query_batch, seed=seed)

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        return answers


def ask_smoothed(
    api: Callable[[Tensor], Tensor],
    images: Tensor,
    times: int = TIMES,
    query_batch: int = 128,
    seed: int = 0,
) -> Tensor:
    """Mean answers (N, K) over `times` random augmentations of images (N, C, H, W).

    Errors: `BudgetExceeded`, before any query, when the API will not answer all of them.

    >>> answers = ask_smoothed(api, images, seed=0)      # api.queries grew by 3 N
    """
    check_images(images)
    check_number("times", times, low=1, integer=True)
    check_number("query_batch", query_batch, low=1, integer=True)
    check_left(api, times * len(images))
    generator = torch.Generator().manual_seed(int(seed))
    means = []
    for batch in progress(images.split(int(query_batch)), desc="queries"):
        answers = torch.stack([api(augment(batch, generator)) for _ in range(times)])
        means.append(answers.mean(0))
    return torch.cat(means)
