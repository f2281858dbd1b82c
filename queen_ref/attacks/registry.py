"""Attacks by name: policies, recoveries, trainings, and what is put together of them.

What each of them can do stands on it, see `queen_ref.attacks.recovery` and
`queen_ref.attacks.policies`.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from queen_ref.attacks.ask_twice import AskTwice
from queen_ref.attacks.bayes import PBayes
from queen_ref.attacks.data_free import DataFreePolicy
from queen_ref.attacks.ddae import DDAE, DDAECodebook, DDAEPlus
from queen_ref.attacks.drop import Drop
from queen_ref.attacks.early import Early
from queen_ref.attacks.entropy import EntropyPolicy
from queen_ref.attacks.few_queries import FewQueriesPolicy, OwnFeatures
from queen_ref.attacks.jbda import JBDAPolicy
from queen_ref.attacks.many_names import ManyNames
from queen_ref.attacks.poison import PoisonPolicy
from queen_ref.attacks.policies import Policy, RandomPolicy
from queen_ref.attacks.recovery import as_received, top1
from queen_ref.attacks.rename import Rename
from queen_ref.attacks.rim import RimPolicy
from queen_ref.attacks.s4l import RotationLoss
from queen_ref.attacks.smoothing import Smoothing
from queen_ref.attacks.unswap import Unswap
from queen_ref.attacks.used_discs import UsedDiscsPolicy
from queen_ref.attacks.vote import Vote
from queen_ref.attacks.zero import Zero
from queen_ref.checks import check_choice
from queen_ref.registry import Registry, label_of, says

# What a recovery may need, fields of `Knowledge`.
KNOWN = ("defense", "pool_labels", "clean", "codebook")
NO_STATE = "adaptive attacker could not simulate the state"

POLICIES: Registry[Policy] = Registry(
    "policy",
    {
        "random": RandomPolicy(),
        "jbda-tr": JBDAPolicy(),
        "rim": RimPolicy(),
        "used-discs": UsedDiscsPolicy(),
        "few-queries": FewQueriesPolicy(),
        "poison": PoisonPolicy(),
        "data-free": DataFreePolicy(),
        "entropy": EntropyPolicy(),
    },
)
RECOVERIES: Registry[Any] = Registry(
    "recovery",
    {
        "none": as_received,
        "top1": top1,
        "smoothing": Smoothing(),
        "ddae": DDAE,
        "ddae+": DDAEPlus,
        "ddae-codebook": DDAECodebook,
        "bayes": PBayes,
        "drop": Drop(),
        "zero": Zero(),
        "vote": Vote(),
        "early": Early(),
        "rename": Rename(),
        "unswap": Unswap(),
        "ask-twice": AskTwice(),
        "names-2": ManyNames(2),
        "names-4": ManyNames(4),
        "names-16": ManyNames(16),
        "names-80": ManyNames(80),
    },
)
# What is learned beside the answers, from images nobody asked about: by a second loss, or in a
# `train_substitute` of its own.
TRAININGS: Registry[Any] = Registry(
    "training", {"plain": None, "s4l": RotationLoss, "few-queries": OwnFeatures}
)

P = TypeVar("P", bound=Callable[..., Any])


@dataclass(frozen=True)
class Attack:
    """What is done with the answers: how labels are recovered, how the substitute is trained.

    Arguments: `recovery`, a name of `RECOVERIES` or one's own, see `queen_ref.attacks.recovery`;
    `training`, a name of `TRAININGS`; `policy`, a name of `POLICIES`, for an attack that chooses
    its images itself: no other policy goes with it.
    Errors: `ValueError` for an unknown name, and for a recovery that could not work.

    >>> Attack(recovery="top1", training="s4l")
    Attack(recovery='top1', training='s4l', policy=None)
    """

    recovery: str | Callable[..., Any] = "none"
    training: str = "plain"
    policy: str | None = None

    def __post_init__(self) -> None:
        if self.policy is not None:
            POLICIES.find(self.policy)
        TRAININGS.find(self.training)
        if isinstance(self.recovery, str):
            RECOVERIES.find(self.recovery)
        else:
            check_recovery(self.recovery)

    @property
    def name(self) -> str:
        """Its recovery in a word, and its training if that is not the plain one."""
        word = self.recovery if isinstance(self.recovery, str) else label_of(self.recovery)
        more = [self.training] if self.training != "plain" else []
        return "+".join([word, *more, *([self.policy] if self.policy else [])])

    @property
    def method(self) -> Any:
        """The recovery itself."""
        return RECOVERIES[self.recovery] if isinstance(self.recovery, str) else self.recovery

    @property
    def needs(self) -> tuple[str, ...]:
        """What the thief must know."""
        return tuple(says(self.method, "needs", ()))

    @property
    def adaptive(self) -> bool:
        """Whether it simulates the defence."""
        return bool(says(self.method, "adaptive", False))

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of its results must know."""
        return tuple(says(self.method, "flags", ()))

    @property
    def state_flags(self) -> tuple[str, ...]:
        """What a reader of its results must know where the defence has a memory."""
        usual = (NO_STATE,) if self.adaptive else ()
        return tuple(says(self.method, "state_flags", usual))

    @property
    def on_request(self) -> bool:
        """Whether "all" leaves it out."""
        parts = [self.method, TRAININGS[self.training], POLICIES.get(self.policy or "")]
        return any(says(part, "on_request", False) for part in parts)

    def suits(self, policy: str) -> bool:
        """Whether it goes with the policy of that name.

        >>> Attack("smoothing").suits("jbda-tr")
        False
        """
        if self.policy is not None:
            return policy == self.policy
        told = [says(one, "policies", None) for one in (self.method, TRAININGS[self.training])]
        return all(names is None or policy in names for names in told)


ATTACKS: Registry[Attack] = Registry(
    "attack",
    {
        "naive": Attack(),
        "top1": Attack("top1"),
        "s4l": Attack(training="s4l"),
        "smoothing": Attack("smoothing"),
        "ddae": Attack("ddae"),
        "ddae+": Attack("ddae+"),
        "ddae-codebook": Attack("ddae-codebook"),
        "bayes": Attack("bayes"),
        "drop": Attack("drop"),
        "zero": Attack("zero"),
        "vote": Attack("vote"),
        "early": Attack("early"),
        "rename": Attack("rename"),
        "unswap": Attack("unswap"),
        "ask-twice": Attack("ask-twice"),
        "names-2": Attack("names-2"),
        "names-4": Attack("names-4"),
        "names-16": Attack("names-16"),
        "names-80": Attack("names-80"),
        "rim": Attack(policy="rim"),
        "used-discs": Attack(policy="used-discs"),
        "few-queries": Attack(training="few-queries", policy="few-queries"),
        "poison": Attack(policy="poison"),
        "data-free": Attack(policy="data-free"),
        "entropy": Attack(policy="entropy"),
    },
)


def register(attack: Attack | Callable[..., Any], name: str | None = None) -> Any:
    """Make a name of an attack of one's own; gives back what it was given.

    Arguments: `attack`, an `Attack` or a recovery; `name`, its own by default.
    Errors: `ValueError` for a name of the package, or a recovery that could not work.

    >>> register(Attack("top1", "s4l"), "top1-s4l")                 # doctest: +SKIP
    """
    whole = attack if isinstance(attack, Attack) else Attack(attack)
    ATTACKS.register(whole.name if name is None else name, whole)
    return attack


def register_policy(policy: P, name: str | None = None) -> P:
    """Make a name of a policy of one's own; gives it back, so that it can stand above a function.

    >>> register_policy(brightest)                                  # doctest: +SKIP
    """
    check_policy(policy)
    POLICIES.register(label_of(policy) if name is None else name, policy)
    return policy


def check_recovery(recovery: Any) -> None:
    """Demand something that can be called with images and answers, and gets what it needs.

    >>> check_recovery("ddea")
    Traceback (most recent call last):
    ValueError: recovery: expected (images, answers) -> labels, got 'ddea'
    """
    begins = callable(getattr(recovery, "begin", None))
    wanted = "recovery: expected (images, answers) -> labels, got "
    if isinstance(recovery, type):
        raise ValueError(f"{wanted}a class: give an object of it, {recovery.__name__}()")
    if not (callable(recovery) or begins):
        raise ValueError(f"{wanted}{recovery!r}")
    if not begins and not _takes(recovery, 2):
        raise ValueError(f"{wanted}{label_of(recovery)}{inspect.signature(recovery)}")
    needs: Sequence[str] = says(recovery, "needs", ())
    if isinstance(needs, str):
        raise ValueError(f"recovery: expected needs to be a tuple of words, got {needs!r}")
    for word in needs:
        check_choice("needs", word, KNOWN)
    if needs and not begins:
        raise ValueError(
            f"recovery: expected a method begin(pool, knowledge, sizes, seed) of "
            f"{label_of(recovery)}, for it needs {', '.join(needs)}"
        )


def check_policy(policy: Any) -> None:
    """Demand something that takes the five arguments of a policy.

    >>> check_policy(lambda pool, budget: pool)
    Traceback (most recent call last):
    ValueError: policy: expected (ask, pool, budget, train, seed) -> images, answers, got <lambda>
    """
    wanted = "policy: expected (ask, pool, budget, train, seed) -> images, answers, got "
    if not callable(policy) or isinstance(policy, type):
        raise ValueError(f"{wanted}{policy!r}")
    if not _takes(policy, 5, "sizes"):
        raise ValueError(wanted + label_of(policy))


def _takes(method: Callable[..., Any], count: int, also: str = "") -> bool:
    """Whether it can be called with so many things, and with that argument if it has it."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return True
    extra = {also: None} if also in signature.parameters else {}
    try:
        signature.bind(*[None] * count, **extra)
    except TypeError:
        return False
    return True
