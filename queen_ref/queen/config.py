"""Every setting of QUEEN in one place, with the paper's symbol beside it."""

from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass
from typing import Any

from queen_ref.checks import check_choice, check_number, plain_numbers
from queen_ref.models import BUILDERS
from queen_ref.queen.perturbation import WALK_UNITS
from queen_ref.queen.unlearning import METHODS

HIDDEN = ("hidden", "swapped")
ANSWERS = (*METHODS, *HIDDEN, "abstain")
GATES = ("confidence", "inside")

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
    "answer",
    "walk_units",
    "others",
    "region_side",
    "gate",
    "gate_alarm",
    "gate_ratio",
    "gate_reverses",
)

POSITIVE = ("spacing", "alpha", "beta", "map_temperature", "map_lr", "shadow_lr", "region_side")
# Fields that came later: results that were recorded without them keep their words and their keys.
LATER = ("region_side", "gate", "gate_alarm", "gate_ratio", "gate_reverses")


@dataclass(frozen=True)
class QueenConfig:
    """Settings of `Queen`. The defaults are ours; `QueenConfig.authors()` gives theirs.

    Arguments: the fields; `method`, what `answer` was called before, is still understood, and
    stands above it.
    Errors: `ValueError` that names the setting and what was expected.

    >>> QueenConfig(threshold=0.1, answer="exact").spacing
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
    answer: str = "cosine"  # reversed: "cosine" (the paper) | "exact" | ours, see `ANSWERS`
    walk_units: str = "absolute"  # "absolute" (the authors) | "relative" to the way to mu
    others: str = "perturbed"  # "perturbed" (the authors) | "untouched": what is not reversed
    region_side: float = 1.0  # of s_k: within so large a square of the map hidden answers agree

    # The drift gate, ours: who is reversed. With a gate the ledger alone reverses nothing.
    gate: str | None = None  # None | "confidence" | "inside": what honest clients are known by
    gate_alarm: float = 1e-3  # the share of honest clients that it may accuse
    gate_ratio: float = 0.5  # p_1 / p_0: the drift that it is quickest to notice
    gate_reverses: str = "all"  # once it has fired: "all" | "ledger", what the ledger would reverse

    method: InitVar[str | None] = None

    def __post_init__(self, method: str | None) -> None:
        if method is not None:
            object.__setattr__(self, "answer", method)
        plain_numbers(self)
        for name in POSITIVE:
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
        check_choice("answer", self.answer, ANSWERS)
        check_choice("walk_units", self.walk_units, WALK_UNITS)
        check_choice("others", self.others, ("perturbed", "untouched"))
        check_choice("gate", self.gate, (None, *GATES))
        check_choice("gate_reverses", self.gate_reverses, ("all", "ledger"))
        check_number("gate_alarm", self.gate_alarm, low=0, high=0.5, above=True)
        check_number("gate_ratio", self.gate_ratio, low=0, high=0.95, above=True)

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


def check_settable(changes: Mapping[str, Any]) -> None:
    """Demand settings that a fitted defence can change, and one name for each.

    >>> check_settable({"answer": "exact", "map_epochs": 3})
    Traceback (most recent call last):
    ValueError: settings: expected some of 'spacing', ..., got ['map_epochs']; fit anew
    """
    baked = sorted(set(changes) - {*SETTABLE, "method"})
    if baked:
        words = ", ".join(map(repr, SETTABLE))
        raise ValueError(f"settings: expected some of {words}, got {baked}; fit anew")
    if {"answer", "method"} <= set(changes):
        raise ValueError("settings: expected answer or method, its old name, got both")


def idle_settings(config: QueenConfig) -> set[str]:
    """The settings that decide nothing in this one: those of a gate, or of answers, it has not.

    >>> sorted(idle_settings(QueenConfig(answer="hidden")))
    ['gate_alarm', 'gate_ratio', 'gate_reverses']
    """
    of_gate = {"gate_alarm", "gate_ratio", "gate_reverses"} if config.gate is None else set()
    return of_gate if config.answer in HIDDEN else {*of_gate, "region_side"}


def recorded_settings(config: QueenConfig) -> dict[str, Any]:
    """The settings in the words of the results files, which every cell's key is made of.

    There `answer` is called "method", as it was when the first lines were written, and a field
    that came later stands only where it is not at its default. Another word or one word more
    would make other cells of the same experiments.

    >>> recorded_settings(QueenConfig(answer="exact"))["method"]
    'exact'
    """
    usual = vars(QueenConfig())
    return {
        "method" if name == "answer" else name: value
        for name, value in asdict(config).items()
        if name not in LATER or value != usual[name]
    }
