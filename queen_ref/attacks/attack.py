"""The attacks of the comparison, by name: what a thief does, knows and can afford.

An attack is policy x recovery x training. The policy chooses the images
(`queen_ref.attacks.policies`, `queen_ref.attacks.jbda`), the recovery turns answers back into
labels, the training makes a substitute of both.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor, nn

from queen_ref.checks import check_choice, check_number
from queen_ref.models import BUILDERS

if TYPE_CHECKING:
    from queen_ref.defenses import Defense

POLICIES = ("random", "jbda-tr")
RECOVERIES = ("none", "top1", "smoothing", "ddae", "ddae+", "bayes")
TRAININGS = ("plain", "s4l")
ADAPTIVE = ("ddae", "ddae+", "bayes")  # they simulate the defence, so they must know it


@dataclass(frozen=True)
class Attack:
    """What is done with the answers: how labels are recovered, how the substitute is trained.

    >>> Attack(recovery="top1", training="s4l")
    Attack(recovery='top1', training='s4l')
    """

    recovery: str = "none"
    training: str = "plain"

    def __post_init__(self):
        check_choice("recovery", self.recovery, RECOVERIES)
        check_choice("training", self.training, TRAININGS)


ATTACKS: dict[str, Attack] = {
    "naive": Attack(),
    "top1": Attack("top1"),
    "s4l": Attack(training="s4l"),
    "smoothing": Attack("smoothing"),
    "ddae": Attack("ddae"),
    "ddae+": Attack("ddae+"),
    "bayes": Attack("bayes"),
}


@dataclass(frozen=True)
class Knowledge:
    """What the thief knows beside the API.

    Arguments: `defense`, a copy whose `simulate` he may call (its `fresh()` is used, so no
    memory is touched); `pool_labels` (N,), the pool's own labels; `clean`, images -> the
    victim's softmax *without* the defence. Whoever has `clean` hardly needs to steal:
    D-DAE+ and p-Bayes are upper bounds for a thief, not thieves one should expect.

    >>> knowledge = Knowledge(defense=rounding, pool_labels=data.pool_labels["mnist"])
    """

    defense: "Defense | None" = None
    pool_labels: Tensor | None = None
    clean: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Sizes:
    """What a profile scales; the defaults are the literature's.

    Arguments: `model`, `epochs`, `batch_size`, `lr` of the substitute; `shadow_nets` and
    `shadow_epochs` of D-DAE; `table`, the most pairs of (clean, perturbed) answers, and
    `per_query`, how many of them one query gives (D-DAE+, p-Bayes); `recovery_epochs` of
    D-DAE's net; `jbda_seeds`, the pool images JBDA starts with, times four a round;
    `query_batch`, images per call of the API.

    >>> Sizes(epochs=15, table=20_000, recovery_epochs=60).batch_size
    128
    """

    model: str = "small_cnn"
    epochs: int = 30
    batch_size: int = 128
    lr: float = 0.1
    shadow_nets: int = 20
    shadow_epochs: int = 10
    table: int = 1_000_000
    recovery_epochs: int = 200
    per_query: int = 20
    jbda_seeds: int = 1000
    query_batch: int = 128

    def __post_init__(self):
        check_choice("model", self.model, tuple(BUILDERS))
        check_number("lr", self.lr, low=0, above=True)
        for name, value in vars(self).items():
            if name not in ("model", "lr"):
                # A table of one pair is no table: batch norm needs two rows.
                check_number(name, value, low=2 if name == "table" else 1, integer=True)


@dataclass
class Theft:
    """What came of an attack.

    `substitute`, the copy; `images` (N, C, H, W), the queries; `answers` (N, K) as received
    (smoothing: the mean of three); `labels` (N, K) as recovered, the training targets;
    `queries`, images really sent; `flags`, what a reader of the result must know; `seconds`
    by stage: "queries" (JBDA's rounds included), "recovery", "training".
    """

    substitute: nn.Module
    images: Tensor
    answers: Tensor
    labels: Tensor
    queries: int
    flags: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
