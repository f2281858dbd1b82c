"""Every setting of QUEEN in one place, with the paper's symbol beside it."""

from dataclasses import dataclass
from typing import Any

from queen_ref.checks import check_choice, check_number, plain_numbers
from queen_ref.models import BUILDERS
from queen_ref.queen.perturbation import WALK_UNITS
from queen_ref.queen.unlearning import METHODS

# Settings that a fitted defence can change, for they are read at query time.
SETTABLE = (
    "spacing",
    "threshold",
    "alpha",
    "beta",
    "units",
    "ledgers",
    "shadows_per_query",
    "shadow_mean",
    "method",
    "walk_units",
    "others",
)


@dataclass(frozen=True)
class QueenConfig:
    """Settings of `Queen`. The defaults are ours; `QueenConfig.authors()` gives theirs.

    Errors: `ValueError` that names the setting and what was expected.

    >>> QueenConfig(threshold=0.1, method="exact").spacing
    0.1
    """

    # The ledger: what is sensitive, and how much of it may be covered.
    spacing: float = 0.1  # r, a fraction of s_k, or a length with units="absolute"
    threshold: float = 0.2  # on CQS_k
    alpha: float = 1.0  # steepness of the single query sensitivity
    beta: float = 1.0  # s_k = beta * rho_k
    units: str = "relative"  # "relative" | "absolute" (the authors)
    ledgers: str = "per-client"  # "per-client" | "shared" (the authors)
    stats_size: int | None = None  # training images behind centers and radii; None: all

    # The 2-D map.
    map_layers: int | None = None  # None: as many as it takes to come down to 2
    map_step_down: int = 4  # each layer's width is divided by this
    map_temperature: float = 0.07
    map_normalize: bool = False  # True: points of length one in the loss, as SupCon has it
    map_optimizer: str = "adam"  # "adam" | "sgd" (the authors)
    map_lr: float = 3e-3
    map_epochs: int = 60
    map_batch: int = 512

    # The shadows.
    shadows: int = 10  # n
    shadows_per_query: int = 5  # k_s
    shadow_arch: str = "small_cnn"
    shadow_accuracy: float | None = 0.5  # training stops here; None: after shadow_epochs
    shadow_epochs: int = 5  # at most
    shadow_batch: int = 256
    shadow_lr: float = 0.01
    shadow_mean: str = "softmax"  # "softmax" | "logits" (the authors)

    # The answers.
    method: str = "cosine"  # "cosine" (the paper) | "exact"
    walk_units: str = "absolute"  # "absolute" (the authors) | "relative" to the way to mu
    others: str = "perturbed"  # "perturbed" (the authors) | "untouched": what is not reversed

    def __post_init__(self) -> None:
        plain_numbers(self)
        for name in ("spacing", "alpha", "beta", "map_temperature", "map_lr", "shadow_lr"):
            check_number(name, getattr(self, name), low=0, above=True)
        check_number("threshold", self.threshold, low=0)
        for name in ("map_epochs", "map_batch", "shadow_epochs", "shadow_batch", "shadows"):
            check_number(name, getattr(self, name), low=1, integer=True)
        check_number("map_step_down", self.map_step_down, low=2, integer=True)
        for name in ("stats_size", "map_layers"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low=1, integer=True)
        if self.shadow_accuracy is not None:
            check_number("shadow_accuracy", self.shadow_accuracy, low=0, high=1)
        per_query = self.shadows_per_query
        check_number("shadows_per_query (k_s)", per_query, low=1, high=self.shadows, integer=True)
        check_choice("units", self.units, ("relative", "absolute"))
        check_choice("ledgers", self.ledgers, ("per-client", "shared"))
        check_choice("map_optimizer", self.map_optimizer, ("adam", "sgd"))
        check_choice("shadow_arch", self.shadow_arch, tuple(BUILDERS))
        check_choice("shadow_mean", self.shadow_mean, ("softmax", "logits"))
        check_choice("method", self.method, METHODS)
        check_choice("walk_units", self.walk_units, WALK_UNITS)
        check_choice("others", self.others, ("perturbed", "untouched"))

    @classmethod
    def authors(cls, **changes: Any) -> "QueenConfig":
        """The settings of the authors' CIFAR experiments, oddities included.

        Their closed form is ours (they solve for it numerically), and a repeated query gets
        the same answer here.

        >>> QueenConfig.authors().spacing
        0.005
        """
        theirs: dict[str, Any] = dict(
            spacing=0.005,
            units="absolute",
            ledgers="shared",
            stats_size=1000,
            map_normalize=False,
            map_optimizer="sgd",
            map_lr=1e-4,
            map_epochs=100,
            map_batch=5000,
            shadow_arch="vgg11_bn",
            shadow_accuracy=None,
            shadow_epochs=1,
            shadow_mean="logits",
        )
        return cls(**{**theirs, **changes})
