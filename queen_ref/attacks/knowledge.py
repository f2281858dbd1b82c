"""What a thief knows beside the API, and what he can afford."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from queen_ref.checks import check_number, plain_numbers
from queen_ref.defenses.base import Defense
from queen_ref.models import Model
from queen_ref.training.recipe import SUBSTITUTE, Recipe, check_recipe


@dataclass(frozen=True)
class Knowledge:
    """What the thief knows beside the API.

    Arguments: `defense`, a copy whose `simulate` he may call (its `fresh()` is used, so no
    memory is touched); `pool_labels` (N,), the pool's own labels; `clean`, images -> the
    victim's softmax *without* the defence; `codebook`, gives a copy of the deployed ModelGuard-S
    with its codebook as it stands then, as `ModelGuardS.held` does. Whoever has `clean` hardly
    needs to steal: D-DAE+ and p-Bayes are upper bounds for a thief, not thieves one should expect.

    >>> knowledge = Knowledge(defense=rounding, pool_labels=data.pool_labels["mnist"])
    """

    defense: Defense | None = None
    pool_labels: Tensor | None = None
    clean: Model | None = None
    codebook: Callable[[], Defense] | None = None


@dataclass(frozen=True)
class Sizes:
    """What a profile scales; the defaults are the literature's.

    Arguments: `recipe` of the substitute; `shadow_nets` and `shadow_epochs` of D-DAE; `table`,
    the most pairs of (clean, perturbed) answers, and `per_query`, how many of them one query
    gives (D-DAE+, p-Bayes); `recovery_epochs` of D-DAE's net at least and `recovery_steps` at most:
    between them it stops where its loss has stopped falling; `jbda_seeds`, the pool images JBDA
    starts with, times four a round; `query_batch`, images per call of the API.

    >>> Sizes(table=20_000, recovery_epochs=60).recipe.batch_size
    128
    """

    recipe: Recipe = SUBSTITUTE
    shadow_nets: int = 20
    shadow_epochs: int = 10
    table: int = 1_000_000
    recovery_epochs: int = 200
    per_query: int = 20
    recovery_steps: int = 200_000
    jbda_seeds: int = 1000
    query_batch: int = 128

    def __post_init__(self) -> None:
        plain_numbers(self)
        check_recipe(self.recipe)
        for name, value in vars(self).items():
            if name != "recipe":
                # A table of one pair is no table: batch norm needs two rows.
                check_number(name, value, low=2 if name == "table" else 1, integer=True)
