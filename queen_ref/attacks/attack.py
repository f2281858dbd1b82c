"""`steal`: one attack from the first query to the substitute, and the attacks by name.

An attack is policy x recovery x training. The policy chooses the images
(`queen_ref.attacks.policies`, `queen_ref.attacks.jbda`), the recovery turns answers back into
labels, the training makes a substitute of both.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from queen_ref.attacks.asking import ask, check_door
from queen_ref.attacks.bayes import PBayes
from queen_ref.attacks.ddae import DDAE, DDAEPlus, check_present
from queen_ref.attacks.jbda import jbda_tr
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.policies import random_queries
from queen_ref.attacks.recovery import Recovery, as_received, top1
from queen_ref.attacks.s4l import check_square
from queen_ref.attacks.smoothing import TIMES, ask_smoothed
from queen_ref.attacks.training import is_finite, near_chance, train_substitute
from queen_ref.blackbox import BlackBox
from queen_ref.checks import check_choice, check_images, check_labels, check_number
from queen_ref.defenses.base import num_classes
from queen_ref.metrics import agreement, predict

POLICIES = ("random", "jbda-tr")
RECOVERIES = ("none", "top1", "smoothing", "ddae", "ddae+", "bayes")
TRAININGS = ("plain", "s4l")
ADAPTIVE = ("ddae", "ddae+", "bayes")  # they simulate the defence, so they must know it
ORACLE = ("ddae+", "bayes")  # they know the victim's clean answers, too

MORE_QUERIES = "more queries sent than the nominal budget"
NO_STATE = "adaptive attacker could not simulate the state"
KNOWS_CLEAN = "attacker knows the victim's clean answers"
DIVERGED = "the substitute's training diverged: its weights are not finite"
LEARNED_NOTHING = "substitute near chance on its own training images"


@dataclass(frozen=True)
class Attack:
    """What is done with the answers: how labels are recovered, how the substitute is trained.

    >>> Attack(recovery="top1", training="s4l")
    Attack(recovery='top1', training='s4l')
    """

    recovery: str = "none"
    training: str = "plain"

    def __post_init__(self) -> None:
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


@dataclass
class Theft:
    """What came of an attack.

    `substitute`, the copy; `images` (N, C, H, W), the queries; `answers` (N, K) as received
    (smoothing: the mean of three); `labels` (N, K) as recovered, the training targets;
    `queries`, images really sent; `flags`, what a reader of the result must know, a training
    that diverged or taught nothing included; `seconds`
    by stage: "queries" (JBDA's rounds included), "recovery", "training".
    """

    substitute: nn.Module
    images: Tensor
    answers: Tensor
    labels: Tensor
    queries: int
    flags: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def steal(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    policy: str = "random",
    attack: str | Attack = "naive",
    knowledge: Knowledge | None = None,
    sizes: Sizes | None = None,
    seed: int = 0,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
) -> Theft:
    """Query, recover, train: one attack on an API, with everything a result needs.

    Arguments: `api`, a `BlackBox` or any images -> probabilities; `pool` (N, C, H, W);
    `budget`, nominal queries: images asked about, which smoothing asks three times;
    `policy` "random" or "jbda-tr", whose rounds train on *recovered* labels too; `attack`, a
    name of `ATTACKS` or an `Attack`; `after_epoch(epoch, model)`, called in the final
    substitute's training only.
    Errors, all before any query: `ValueError` for a combination that makes no sense, a thief who
    lacks what his attack needs, or a pool that the API does not take; `BudgetExceeded` for one
    that will not answer all of it.

    >>> api = qr.BlackBox(queen, budget=400)
    >>> theft = steal(api, pool, 400, attack="top1", sizes=sizes, seed=0)
    >>> theft.queries, theft.flags
    (400, [])
    """
    knowledge, sizes = knowledge or Knowledge(), sizes or Sizes()
    if isinstance(attack, str):
        check_choice("attack", attack, tuple(ATTACKS))
        attack = ATTACKS[attack]
    check_attack(pool, budget, policy, attack, knowledge, sizes)
    check_number("seed", seed, low=0, integer=True)
    budget, seed = int(budget), int(seed)
    if after_epoch is not None and not callable(after_epoch):
        raise ValueError(f"after_epoch: expected a function, got {type(after_epoch).__name__}")
    check_answerable(api, pool, budget, attack, knowledge)

    recover = make_recovery(attack.recovery, pool, knowledge, sizes, seed)
    box = api if isinstance(api, BlackBox) else BlackBox(api)
    before = box.queries
    seconds: dict[str, float] = {}
    with stage(seconds, "queries", pool):
        if policy == "jbda-tr":
            images, answers = jbda_tr(
                box,
                pool,
                budget,
                lambda x, y: train_substitute(x, recover(x, y), sizes.recipe, seed=seed),
                seeds=sizes.jbda_seeds,
                query_batch=sizes.query_batch,
                seed=seed,
            )
        else:
            images = random_queries(pool, budget, seed)
            if attack.recovery == "smoothing":
                answers = ask_smoothed(box, images, query_batch=sizes.query_batch, seed=seed)
            else:
                answers = ask(box, images, sizes.query_batch)
    with stage(seconds, "recovery", pool):
        labels = recover(images, answers)
    with stage(seconds, "training", pool):
        substitute = train_substitute(
            images,
            labels,
            sizes.recipe,
            seed=seed,
            unlabelled=pool if attack.training == "s4l" else None,
            after_epoch=after_epoch,
            allow_diverged=True,  # the answers were paid for: a flag, and nothing is lost
        )
    flags = flags_of(attack, knowledge) + outcome_of(substitute, images, labels)
    return Theft(substitute, images, answers, labels, box.queries - before, flags, seconds)


def check_attack(
    pool: Tensor, budget: int, policy: str, attack: Attack, knowledge: Knowledge, sizes: Sizes
) -> None:
    """Demand a combination that makes sense and a thief who has what it needs."""
    check_images(pool)
    check_number("budget", budget, low=1, integer=True)
    check_choice("policy", policy, POLICIES)
    asked = budget if policy == "random" else min(budget, sizes.jbda_seeds)
    if asked > len(pool):
        raise ValueError(f"budget: expected at most the pool's {len(pool)} images, got {asked}")
    for name in ("smoothing", "s4l"):
        if policy != "random" and name in (attack.recovery, attack.training):
            raise ValueError(f"policy: expected 'random' with {name}, got {policy!r}")
    if attack.training == "s4l":
        check_square(pool)
    if attack.recovery in ADAPTIVE and knowledge.defense is None:
        raise ValueError(f"knowledge: expected a copy of the defense for {attack.recovery}")
    if attack.recovery in ORACLE and knowledge.clean is None:
        raise ValueError(f"knowledge: expected the clean answers for {attack.recovery}")
    if attack.recovery == "ddae":
        if knowledge.pool_labels is None:
            raise ValueError("knowledge: expected pool_labels for ddae's shadow nets")
        check_labels(knowledge.pool_labels, len(pool))


def check_answerable(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    attack: Attack,
    knowledge: Knowledge,
) -> None:
    """Demand an API that will answer the whole attack, as far as that can be known before."""
    classes = check_door(api, pool, budget * (TIMES if attack.recovery == "smoothing" else 1))
    if attack.recovery == "ddae" and knowledge.pool_labels is not None:
        classes = classes or num_classes(getattr(knowledge.defense, "victim", None))
        if classes is not None:  # else it is known with the first answer
            check_present(len(knowledge.pool_labels.unique()), classes)


def make_recovery(
    name: str, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int = 0
) -> Recovery:
    """The recovery of that name; smoothing has done its work when the answers are in."""
    if name == "ddae":
        return DDAE(pool, knowledge, sizes, seed)
    if name == "ddae+":
        return DDAEPlus(knowledge, sizes, seed)
    if name == "bayes":
        return PBayes(knowledge, sizes, seed)
    return top1 if name == "top1" else as_received


def flags_of(attack: Attack, knowledge: Knowledge) -> list[str]:
    """What a reader of the result must know about the attack.

    >>> flags_of(Attack("smoothing"), Knowledge())
    ['more queries sent than the nominal budget']
    """
    flags = []
    if attack.recovery == "smoothing":
        flags.append(MORE_QUERIES)
    if attack.recovery in ADAPTIVE and knowledge.defense is not None and knowledge.defense.stateful:
        flags.append(NO_STATE)
    if attack.recovery in ORACLE:
        flags.append(KNOWS_CLEAN)
    return flags


def outcome_of(substitute: nn.Module, images: Tensor, labels: Tensor) -> list[str]:
    """What is wrong with a substitute trained on labels (N, K) for images (N, C, H, W), if any.

    >>> outcome_of(victim, queries, answers)
    []
    """
    if not is_finite(substitute):
        return [DIVERGED]
    share = agreement(predict(substitute, images).argmax(1), labels.argmax(1))
    return [LEARNED_NOTHING] if near_chance(share, labels.shape[1], len(images)) else []


@contextmanager
def stage(seconds: dict[str, float], name: str, images: Tensor) -> Iterator[None]:
    """Measure a stage in seconds of wall time, the GPU's work included."""
    start = time.perf_counter()
    yield
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    seconds[name] = time.perf_counter() - start
