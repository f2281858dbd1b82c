"""`steal`: one attack from the first query to the substitute.

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

from queen_ref.attacks.asking import ask
from queen_ref.attacks.flags import flags_of, outcome_of
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.policies import Policy
from queen_ref.attacks.preparing import check_answerable, check_attack
from queen_ref.attacks.registry import ATTACKS, POLICIES, TRAININGS, Attack
from queen_ref.attacks.smoothing import MORE_QUERIES
from queen_ref.attacks.training import train_substitute
from queen_ref.blackbox import BlackBox
from queen_ref.checks import check_batch, check_kind, check_number, check_probabilities


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
        images, answers = check_loot(chosen(send, pool, budget, train, seed, **extra), most)
    with stage(seconds, "recovery", pool):
        labels = recover(images, answers)
        check_labels_of(attack, labels, answers)
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


def begin(
    attack: Attack, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int
) -> Callable[[Tensor, Tensor], Tensor]:
    """The attack's recovery at work: images (N, C, H, W), answers (N, K) -> labels (N, K).

    >>> begin(Attack(), pool, knowledge, sizes, seed=0)(queries, answers) is answers
    True
    """
    start = getattr(attack.method, "begin", None)
    return attack.method if start is None else start(pool, knowledge, sizes, seed)


def check_loot(loot: object, budget: int) -> tuple[Tensor, Tensor]:
    """Demand of a policy at most `budget` images and an answer (K,) for each, and give them.

    >>> sent, answered = check_loot((queries, answers), budget=40)
    """
    if not isinstance(loot, tuple | list) or len(loot) != 2:
        raise ValueError(f"policy: expected images, answers, got {type(loot).__name__}")
    images, answers = loot
    check_batch(images)
    check_kind("answers", answers)
    if answers.ndim != 2 or len(images) != len(answers) or len(images) > budget:
        raise ValueError(
            f"policy: expected at most {budget} images and as many answers (N, K), "
            f"got {len(images)} and {tuple(answers.shape)}"
        )
    return images, answers


def check_labels_of(attack: Attack, labels: object, answers: Tensor) -> None:
    """Demand of a recovery a label (K,) on the simplex, or zeros, for each answer (K,).

    >>> check_labels_of(Attack(), answers[:, :3], answers)
    Traceback (most recent call last):
    ValueError: recovery: expected labels (40, 10), got (40, 3) of none
    """
    shape = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
    if not isinstance(labels, Tensor) or shape != tuple(answers.shape):
        wanted = tuple(answers.shape)
        raise ValueError(f"recovery: expected labels {wanted}, got {shape} of {attack.name}")
    if bool(left_out(labels).all()):
        raise ValueError("recovery: expected labels for some of the images, all were left out")
    check_probabilities(f"recovery: labels of {attack.name}", labels[~left_out(labels)])


def left_out(labels: Tensor) -> Tensor:
    """Which rows of labels (N, K) are zeros: images that a recovery does not train on, (N,).

    >>> left_out(torch.tensor([[0.0, 0.0], [0.9, 0.1]]))
    tensor([ True, False])
    """
    return (labels == 0).all(1)


def worth(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels without the rows that a recovery has left out, (N, K) of zeros.

    >>> worth(images[:2], torch.tensor([[0.0, 0.0], [0.9, 0.1]]))[1]
    tensor([[0.9000, 0.1000]])
    """
    kept = ~left_out(labels)
    return (images, labels) if bool(kept.all()) else (images[kept], labels[kept])


@contextmanager
def stage(seconds: dict[str, float], name: str, images: Tensor) -> Iterator[None]:
    """Measure a stage in seconds of wall time, the GPU's work included."""
    start = time.perf_counter()
    yield
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    seconds[name] = time.perf_counter() - start
