"""`steal`: one attack from the first query to the substitute, and the attacks by name.

An attack is policy x recovery x training. The policy chooses the images
(`queen_ref.attacks.policies`, `queen_ref.attacks.jbda`), the recovery turns answers back into
labels, the training makes a substitute of both.
"""

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from queen_ref.attacks.asking import ask, check_door
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.policies import Policy
from queen_ref.attacks.registry import ATTACKS, POLICIES, TRAININGS, Attack, check_policy
from queen_ref.attacks.s4l import check_square
from queen_ref.attacks.training import is_finite, near_chance, train_substitute
from queen_ref.blackbox import BlackBox
from queen_ref.checks import check_batch, check_images, check_kind, check_labels, check_number
from queen_ref.defenses.base import num_classes
from queen_ref.metrics import agreement, predict
from queen_ref.registry import label_of, says

MORE_QUERIES = "more queries sent than the nominal budget"
NO_STATE = "adaptive attacker could not simulate the state"
KNOWS_CLEAN = "attacker knows the victim's clean answers"
DIVERGED = "the substitute's training diverged: its weights are not finite"
LEARNED_NOTHING = "substitute near chance on its own training images"


@dataclass
class Theft:
    """What came of an attack.

    `substitute`, the copy; `images` (N, C, H, W), the queries; `answers` (N, K) as received
    (smoothing: the mean of three); `labels` (N, K) as recovered, the training targets;
    a row of zeros was left out; `queries`, images really sent; `accounts`, names they were sent
    under; `flags`, what a reader of the result must know, a training that diverged or taught
    nothing included; `seconds` by stage: "queries" (JBDA's rounds included), "recovery",
    "training".
    """

    substitute: nn.Module
    images: Tensor
    answers: Tensor
    labels: Tensor
    queries: int
    flags: list[str] = field(default_factory=list)
    accounts: int = 1
    seconds: dict[str, float] = field(default_factory=dict)


def steal(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    policy: str | Policy = "random",
    attack: str | Attack = "naive",
    knowledge: Knowledge | None = None,
    sizes: Sizes | None = None,
    seed: int = 0,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
) -> Theft:
    """Query, recover, train: one attack on an API, with everything a result needs.

    Arguments: `api`, a `BlackBox` or any images -> probabilities; `pool` (N, C, H, W);
    `budget`, nominal queries: images asked about, which smoothing asks three times;
    `policy`, a name of `POLICIES` or one's own, see `queen_ref.attacks.policies`; what it trains
    on its way is trained on *recovered* labels too; `attack`, a name of `ATTACKS` or an
    `Attack`; `after_epoch(epoch, model)`, called in the final substitute's training only.
    Errors, all before any query: `ValueError` for a combination that makes no sense, a thief who
    lacks what his attack needs, or a pool that the API does not take; `BudgetExceeded` for one
    that will not answer all of it.

    >>> api = qr.BlackBox(queen, budget=400)
    >>> theft = steal(api, pool, 400, attack="top1", sizes=sizes, seed=0)
    >>> theft.queries, theft.flags
    (400, [])
    """
    knowledge, sizes = knowledge or Knowledge(), sizes or Sizes()
    attack = ATTACKS.find(attack) if isinstance(attack, str) else attack
    chosen = POLICIES.find(policy) if isinstance(policy, str) else policy
    check_attack(pool, budget, policy, attack, knowledge, sizes)
    check_number("seed", seed, low=0, integer=True)
    budget, seed = int(budget), int(seed)
    if after_epoch is not None and not callable(after_epoch):
        raise ValueError(f"after_epoch: expected a function, got {type(after_epoch).__name__}")
    most = budget * getattr(chosen, "times", 1)  # images that the policy asks about
    check_answerable(api, pool, most, attack, knowledge)

    recover = begin(attack, pool, knowledge, sizes, seed)
    box = api if isinstance(api, BlackBox) else BlackBox(api)
    before, known = box.queries, dict(box.accounts)
    asks = getattr(attack.method, "ask", None)

    def send(images: Tensor) -> Tensor:
        if asks is not None:
            return asks(box, images, query_batch=sizes.query_batch, seed=seed)
        return ask(box, images, sizes.query_batch)

    def train(images: Tensor, answers: Tensor) -> nn.Module:
        return train_substitute(*worth(images, recover(images, answers)), sizes.recipe, seed=seed)

    extra = {"sizes": sizes} if "sizes" in inspect.signature(chosen).parameters else {}
    seconds: dict[str, float] = {}
    with stage(seconds, "queries", pool):
        images, answers = chosen(send, pool, budget, train, seed, **extra)
        check_loot(images, answers, most)
    with stage(seconds, "recovery", pool):
        labels = recover(images, answers)
        if tuple(labels.shape) != tuple(answers.shape):
            wanted, got = tuple(answers.shape), tuple(labels.shape)
            raise ValueError(f"recovery: expected labels {wanted}, got {got} of {attack.name}")
    with stage(seconds, "training", pool):
        trained = getattr(TRAININGS[attack.training], "train_substitute", train_substitute)
        substitute: nn.Module = trained(
            *worth(images, labels),
            sizes.recipe,
            seed=seed,
            unlabelled=pool if attack.training != "plain" else None,
            after_epoch=after_epoch,
            allow_diverged=True,  # the answers were paid for: a flag, and nothing is lost
        )
        flaws = outcome_of(substitute, *worth(images, labels))
        finish = getattr(attack.method, "finish", None)
        if finish is not None:
            substitute = finish(substitute, pool, knowledge, seed)
    flags, sent = flags_of(attack, knowledge), box.queries - before
    if sent > budget and MORE_QUERIES not in flags:
        flags.append(MORE_QUERIES)
    flags += flaws
    accounts = len(box.accounts.keys() - known) or 1
    return Theft(substitute, images, answers, labels, sent, flags, accounts, seconds)


def check_attack(
    pool: Tensor,
    budget: int,
    policy: str | Policy,
    attack: Attack,
    knowledge: Knowledge,
    sizes: Sizes,
) -> None:
    """Demand a combination that makes sense and a thief who has what it needs."""
    check_images(pool)
    check_number("budget", budget, low=1, integer=True)
    chosen = POLICIES.find(policy) if isinstance(policy, str) else policy
    check_policy(chosen)
    takes = getattr(chosen, "takes", None)
    asked = takes(budget, sizes) if takes is not None else 0
    if asked > len(pool):
        raise ValueError(f"budget: expected at most the pool's {len(pool)} images, got {asked}")
    listed = (name for name, known in POLICIES.items() if known is policy)
    word = policy if isinstance(policy, str) else next(listed, label_of(policy))
    if not attack.suits(word):
        raise ValueError(f"policy: expected one that suits the attack {attack.name}, got {word!r}")
    if attack.training != "plain":  # the others turn the pool's images
        check_square(pool)
    for part in attack.needs:
        if getattr(knowledge, part) is None:
            what = {"defense": "a copy of the defense", "clean": "the clean answers"}
            raise ValueError(f"knowledge: expected {what.get(part, part)} for {attack.name}")
    if "pool_labels" in attack.needs and knowledge.pool_labels is not None:
        check_labels(knowledge.pool_labels, len(pool))


def check_answerable(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    attack: Attack,
    knowledge: Knowledge,
) -> None:
    """Demand an API that will answer the whole attack, as far as that can be known before."""
    classes = check_door(api, pool, budget * getattr(attack.method, "times", 1))
    classes = classes or num_classes(getattr(knowledge.defense, "victim", None))
    check = says(attack.method, "check", None)
    if check is not None and classes is not None:  # else it is known with the first answer
        check(knowledge, classes)


def begin(
    attack: Attack, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int
) -> Callable[[Tensor, Tensor], Tensor]:
    """The attack's recovery at work: images (N, C, H, W), answers (N, K) -> labels (N, K).

    >>> begin(Attack(), pool, knowledge, sizes, seed=0)(queries, answers) is answers
    True
    """
    start = getattr(attack.method, "begin", None)
    return attack.method if start is None else start(pool, knowledge, sizes, seed)


def check_loot(images: Tensor, answers: Tensor, budget: int) -> None:
    """Demand of a policy at most `budget` images and an answer (K,) for each.

    >>> check_loot(queries, answers, budget=40)
    """
    check_batch(images)
    check_kind("answers", answers)
    if answers.ndim != 2 or len(images) != len(answers) or len(images) > budget:
        raise ValueError(
            f"policy: expected at most {budget} images and as many answers (N, K), "
            f"got {len(images)} and {tuple(answers.shape)}"
        )


def worth(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels without the rows that a recovery has left out, (N, K) of zeros.

    Errors: `ValueError` where it has left out all.

    >>> worth(images[:2], torch.tensor([[0.0, 0.0], [0.9, 0.1]]))[1]
    tensor([[0.9000, 0.1000]])
    """
    kept = labels.sum(1) > 0
    if not bool(kept.any()):
        raise ValueError("recovery: expected labels for some of the images, all were left out")
    return (images, labels) if bool(kept.all()) else (images[kept], labels[kept])


def flags_of(attack: Attack, knowledge: Knowledge) -> list[str]:
    """What a reader of the result must know about the attack.

    >>> flags_of(Attack("smoothing"), Knowledge())
    ['more queries sent than the nominal budget']
    """
    flags = list(attack.flags)
    if attack.adaptive and knowledge.defense is not None and knowledge.defense.stateful:
        flags.append(NO_STATE)
    if "clean" in attack.needs:
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
