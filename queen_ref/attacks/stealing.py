"""`steal`: one attack from the first query to the substitute."""

import time
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from queen_ref.attacks.attack import ADAPTIVE, ATTACKS, POLICIES, Attack, Knowledge, Sizes, Theft
from queen_ref.attacks.bayes import PBayes
from queen_ref.attacks.ddae import DDAE, DDAEPlus
from queen_ref.attacks.jbda import jbda_tr
from queen_ref.attacks.policies import random_queries
from queen_ref.attacks.recovery import Recovery, as_received, top1
from queen_ref.attacks.s4l import check_square
from queen_ref.attacks.smoothing import ask_smoothed
from queen_ref.attacks.training import ask, train_substitute
from queen_ref.checks import check_choice, check_images, check_labels, check_number

MORE_QUERIES = "more queries sent than the nominal budget"
NO_STATE = "adaptive attacker could not simulate the state"
KNOWS_CLEAN = "attacker knows the victim's clean answers"


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

    Arguments: `api`, any images -> probabilities, usually a `BlackBox`; `pool` (N, C, H, W);
    `budget`, nominal queries: images asked about, which smoothing asks three times;
    `policy` "random" or "jbda-tr", whose rounds train on *recovered* labels too; `attack`, a
    name of `ATTACKS` or an `Attack`; `after_epoch(epoch, model)`, called in the final
    substitute's training only.
    Errors: `ValueError`, before any query, for a combination that makes no sense or a thief who
    lacks what his attack needs; `BudgetExceeded` as the API raises it.

    >>> api = qr.BlackBox(queen, budget=400)
    >>> theft = steal(api, pool, 400, attack="top1", sizes=Sizes(epochs=2), seed=0)
    >>> theft.queries, theft.flags
    (400, [])
    """
    knowledge, sizes = knowledge or Knowledge(), sizes or Sizes()
    if isinstance(attack, str):
        check_choice("attack", attack, tuple(ATTACKS))
        attack = ATTACKS[attack]
    check_attack(pool, budget, policy, attack, knowledge, sizes)
    check_number("seed", seed, low=0, integer=True)

    recover = make_recovery(attack.recovery, pool, knowledge, sizes, seed)
    counted, seconds = Counted(api), {}
    training = dict(
        model=sizes.model,
        epochs=sizes.epochs,
        batch_size=sizes.batch_size,
        lr=sizes.lr,
        seed=seed,
    )
    with stage(seconds, "queries", pool):
        if policy == "jbda-tr":
            images, answers = jbda_tr(
                counted,
                pool,
                budget,
                lambda x, y: train_substitute(x, recover(x, y), **training),
                seeds=sizes.jbda_seeds,
                query_batch=sizes.query_batch,
                seed=seed,
            )
        else:
            images = random_queries(pool, budget, seed)
            if attack.recovery == "smoothing":
                answers = ask_smoothed(counted, images, query_batch=sizes.query_batch, seed=seed)
            else:
                answers = ask(counted, images, sizes.query_batch)
    with stage(seconds, "recovery", pool):
        labels = recover(images, answers)
    with stage(seconds, "training", pool):
        substitute = train_substitute(
            images,
            labels,
            **training,
            unlabelled=pool if attack.training == "s4l" else None,
            after_epoch=after_epoch,
        )
    return Theft(
        substitute, images, answers, labels, counted.sent, flags_of(attack, knowledge), seconds
    )


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
    if attack.recovery in ("ddae+", "bayes") and knowledge.clean is None:
        raise ValueError(f"knowledge: expected the clean answers for {attack.recovery}")
    if attack.recovery == "ddae":
        if knowledge.pool_labels is None:
            raise ValueError("knowledge: expected pool_labels for ddae's shadow nets")
        check_labels(knowledge.pool_labels, len(pool))


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
    """What a reader of the result must know about the attack."""
    flags = []
    if attack.recovery == "smoothing":
        flags.append(MORE_QUERIES)
    if attack.recovery in ADAPTIVE and knowledge.defense.stateful:
        flags.append(NO_STATE)
    if attack.recovery in ("ddae+", "bayes"):
        flags.append(KNOWS_CLEAN)
    return flags


class Counted:
    """An API that counts what it answered: `sent` is the thief's own ledger."""

    def __init__(self, api: Callable[[Tensor], Tensor]):
        self.api, self.sent = api, 0

    def __call__(self, images: Tensor) -> Tensor:
        answers = self.api(images)
        self.sent += len(images)
        return answers


@contextmanager
def stage(seconds: dict[str, float], name: str, images: Tensor):
    """Measure a stage in seconds of wall time, the GPU's work included."""
    start = time.perf_counter()
    yield
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    seconds[name] = time.perf_counter() - start
