"""QUEEN under settings of one's own, for the arena; the authors' and a shared ledger by name."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from queen_ref.defenses.base import Defense
from queen_ref.defenses.registry import DEFENSES, Fitted, Maker, seldom, variant
from queen_ref.models import Model
from queen_ref.queen.config import QueenConfig


@dataclass(frozen=True)
class Variant:
    """A defence of the arena: QUEEN fitted with `config`, not with the profile's settings.

    The arena fits it once for all attacks and keeps it in its cache.

    >>> strict = Variant(QueenConfig(threshold=0.02))
    >>> rows = arena.run("mine.jsonl", defenses=["queen-authors", strict])    # doctest: +SKIP
    """

    config: QueenConfig
    on_request = True  # a map of its own takes long

    def __call__(self, victim: Model, queen: Defense) -> Defense:
        """The QUEEN that was fitted for this, without memory."""
        return queen.fresh()

    @property
    def name(self) -> str:
        """Its settings in a word: those that are not the usual ones."""
        usual = QueenConfig()
        changed = {k: v for k, v in vars(self.config).items() if v != getattr(usual, k)}
        return f"queen({', '.join(f'{name}={value}' for name, value in changed.items())})"

    def changed(self, **settings: Any) -> "Variant":
        """The same with some settings changed.

        >>> Variant(QueenConfig()).changed(threshold=0.1).name
        'queen(threshold=0.1)'
        """
        return Variant(replace(self.config, **settings))


@dataclass(frozen=True)
class Changed:
    """The profile's fitted QUEEN under other settings, for the arena when asked by name.

    Arguments: `settings`, pairs of a name and a value, of those that a fitted defence can change.

    >>> Changed((("threshold", 0.1),))(victim, queen).config.threshold
    0.1
    """

    settings: tuple[tuple[str, Any], ...]
    on_request = True

    def __call__(self, victim: Model, queen: Fitted) -> Defense:
        """Those settings, and no memory."""
        return queen.with_settings(**dict(self.settings))


def config_of(maker: Maker) -> QueenConfig | None:
    """The settings that a defence of the arena stands for; `None` for what is no QUEEN of ours.

    >>> config_of(DEFENSES["queen-gated"]).gate, config_of(DEFENSES["rounding"])
    ('confidence', None)
    """
    if isinstance(maker, Variant):
        return maker.config
    if isinstance(maker, Changed):
        said: dict[str, Any] = dict(maker.settings)
    elif isinstance(maker, partial) and maker.func in (variant, seldom):
        said = dict(maker.keywords)
    else:
        return None
    # A bound and a key are no settings of `QueenConfig`.
    beside = ("max_clients", "key")
    return QueenConfig(**{name: value for name, value in said.items() if name not in beside})


# Strict QUEEN with one ledger for everybody, as the authors have it: for `attacks.poison`.
STRICT = (("threshold", 0.02),)
DEFENSES.bring("queen-shared", Changed((*STRICT, ("ledgers", "shared"))))
DEFENSES.bring("queen-authors", Variant(QueenConfig.authors()))

# What "queen-hidden" and "queen-gated" are made of, a piece exchanged at a time (chapter 11).
DEFENSES.bring("queen-default-hidden", Changed((("answer", "hidden"),)))
DEFENSES.bring("queen-swapped", Changed((*STRICT, ("answer", "swapped"))))
DEFENSES.bring("queen-strict-abstain", Changed((*STRICT, ("answer", "abstain"))))
DEFENSES.bring("queen-gated-cosine", Changed((("answer", "cosine"), ("gate", "confidence"))))
DEFENSES.bring("queen-gated-inside", Changed((("answer", "hidden"), ("gate", "inside"))))
# Novelty for all accounts together, guilt for each by itself.
JOINED = (("answer", "hidden"), ("gate", "confidence"), ("gate_reverses", "ledger"))
DEFENSES.bring("queen-joined", Changed((*STRICT, *JOINED, ("ledgers", "shared"))))
