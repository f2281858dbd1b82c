"""Few queries: stay inside the free budget, and learn the rest from images nobody answered.

Whatever a ledger does to a client who has asked much, nobody is lied to in his first questions. So
a thief asks a few images a class and stops. What he lacks in answers he looks for in his pool: a
network learns by which of 0, 90, 180, 270 degrees an image was turned, which needs no label
(Gidaris et al., 2018), and its body, features of the thief's own, gets a new head for the
victim's classes. Head and body are then trained on the few answers, under random crops. Jagielski
et al. (2020) steal with few queries in that spirit; what they learn beside the answers is
`queen_ref.attacks.s4l`.

How far it goes is a matter of the features: turned photographs teach a network about objects,
turned digits teach it hardly anything about digits. Better ones are a network's that was trained on
other people's images, see `queen_ref.models.pretrained`.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from queen_ref.attacks.knowledge import Sizes
from queen_ref.attacks.policies import FREE, random_queries
from queen_ref.attacks.s4l import TURNS, check_square, turn
from queen_ref.attacks.training import train_substitute
from queen_ref.models import Classifier, build, shape_of
from queen_ref.training.fit import fit
from queen_ref.training.recipe import SUBSTITUTE, Recipe


class FewQueriesPolicy:
    """The policy: random images, and no more of them than an account is told honestly.

    >>> images, answers = FewQueriesPolicy()(api, pool, 400, None, seed=0)
    >>> len(images)
    64
    """

    name = "few-queries"
    on_request = True

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool."""
        return min(budget, FREE)

    def __call__(
        self, ask: Callable[[Tensor], Tensor], pool: Tensor, budget: int, train: object, seed: int
    ) -> tuple[Tensor, Tensor]:
        images = random_queries(pool, min(budget, FREE), seed)
        return images, ask(images)


class OwnFeatures:
    """The training: `train_substitute` beginning with features learned from the pool.

    As many steps as if every image of the pool had an answer, half of the work before the answers.

    >>> own = OwnFeatures.train_substitute(queries, answers, sizes.recipe, unlabelled=pool)
    """

    on_request = True

    @staticmethod
    def train_substitute(
        images: Tensor,
        answers: Tensor,
        recipe: Recipe = SUBSTITUTE,
        *,
        seed: int = 0,
        after_epoch: Callable[[int, nn.Module], None] | None = None,
        unlabelled: Tensor,
        allow_diverged: bool = False,
    ) -> Classifier:
        """The same arguments as those of `queen_ref.attacks.training.train_substitute`."""
        rounds = max(1, len(unlabelled) // len(images))
        often = replace(recipe, epochs=rounds * recipe.epochs, schedule="cosine", augment=True)

        def at_times(epoch: int, model: nn.Module) -> None:
            if after_epoch is not None and (epoch + 1) % rounds == 0:
                after_epoch(epoch // rounds, model)

        return train_substitute(
            images,
            answers,
            often,
            seed=seed,
            after_epoch=at_times,
            allow_diverged=allow_diverged,
            begin=learned_turns(unlabelled, recipe, seed),
        )


def learned_turns(pool: Tensor, recipe: Recipe, seed: int = 0) -> dict[str, Tensor]:
    """Weights of a network that tells how images (N, C, S, S) are turned, all but its head's.

    Every image is there in all four turns, for a fourth of the recipe's epochs.
    Errors: `ValueError` when the images are not square.

    >>> weights = learned_turns(pool, sizes.recipe)
    """
    check_square(pool)
    model = build(recipe.model, shape_of(pool), TURNS, seed=seed).to(pool.device, pool.dtype)
    turns = torch.arange(TURNS, device=pool.device).repeat(len(pool))
    turned = turn(pool.repeat_interleave(TURNS, 0), turns)
    epochs = math.ceil(recipe.epochs / TURNS)
    fit(model, turned, turns, replace(recipe, epochs=epochs), seed=seed, desc="turned images")
    weights = model.state_dict()
    return {name: value for name, value in weights.items() if not name.startswith("head.")}
