"""Early: the first answers judge the others.

A defence that counts what a client has covered answers honestly until it has counted enough.
Those first answers are free. They are too few for a good copy and enough for a judge f_0:

    keep (x_i, y'_i)   where   i <= n   or   argmax y'_i = argmax f_0(x_i) ,

f_0 trained on the first n. A lie about the label is thrown out unless the judge believes it; an
honest answer is thrown out where the judge is wrong. The thief cannot know how many answers are
free: n is fixed before he asks, and small. It is the selection of clean labels by a small trusted
set, done by a thief.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.training import train_substitute
from queen_ref.checks import check_number
from queen_ref.metrics import predict
from queen_ref.training.recipe import Recipe

FIRST = 64
PASSES, BATCH = 100, 16  # so few images are soon seen: a hundred times, in batches of a quarter


class Early:
    """The recovery. Arguments: `first`, n; a thief with no more answers than that keeps all.

    >>> recover = Early(first=30).begin(pool, knowledge, sizes, seed=0)
    >>> (recover(queries, answers)[:30] == answers[:30]).all()
    tensor(True)
    """

    name = "early"
    on_request = True

    def __init__(self, first: int = FIRST):
        check_number("first", first, low=2, integer=True)  # batch norm needs two
        self.first = int(first)

    def begin(
        self, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The recovery at work: images (N, C, H, W), answers (N, K) -> labels (N, K)."""
        return partial(self.recover, sizes=sizes, seed=seed)

    def recover(self, images: Tensor, answers: Tensor, sizes: Sizes, seed: int) -> Tensor:
        """Train the judge, and leave out what he does not believe: rows of zeros."""
        if len(images) <= self.first:
            return answers
        recipe = judge_recipe(sizes.recipe)
        judge = train_substitute(images[: self.first], answers[: self.first], recipe, seed=seed)
        kept = predict(judge, images).argmax(1) == answers.argmax(1)
        kept[: self.first] = True
        return torch.where(kept[:, None], answers, torch.zeros_like(answers))


def judge_recipe(recipe: Recipe) -> Recipe:
    """The substitute's recipe for a few images: more passes, smaller batches, a rate down to zero.

    >>> judge_recipe(Recipe(epochs=8)).epochs
    100
    """
    batch = min(BATCH, recipe.batch_size)
    return replace(recipe, epochs=PASSES, batch_size=batch, schedule="cosine")
