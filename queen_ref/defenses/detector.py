"""What detectors have in common: they watch accounts, and lie to the one that looks like a thief.

A detector asks "is this account like an honest user's?" and answers truthfully until it doubts it.
From the query that raises the alarm on, an account is given answers that say nothing. What raises
it is the detector's own rule, `watch`; the accounts, the answers after the alarm and the count of
honest users who would be taken for thieves are here.
"""

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from queen_ref.checks import check_choice, check_images, check_number
from queen_ref.defenses.base import Defense
from queen_ref.models import Model
from queen_ref.modes import evaluating
from queen_ref.threads import Lock

AFTER = ("random", "uniform")
LIES = 4096  # random answers that are drawn; an account takes one after the other


@dataclass(frozen=True)
class Account:
    """What is known of one client: what the rule remembers, and the counts.

    >>> Account().fired is None
    True
    """

    memory: Any = None
    queries: int = 0
    flagged: int = 0  # queries that were answered with nothing
    fired: int | None = None  # the number of the query that raised the first alarm


class Detector(Defense):
    """The true answer until the alarm, and nothing afterwards.

    Arguments: `after`, what an account gets then: "random" answers, the softmax of normal logits,
    or "uniform" ones, which is as good as refusing; `seed` of the random ones.
    A detector inherits and writes `describe` and `watch`. `for_good`: the first alarm is the last.
    A batch is answered exactly as its queries would be one by one, and whole before that of
    another thread. No account is ever forgotten.

    >>> probs = detector(images[:40], client="a")
    >>> detector.report("a")                # and {"fired": 131} besides, once it has fired
    {'queries': 40, 'flagged': 0}
    """

    stateful = True
    on_request = True
    for_good = True

    def __init__(self, victim: Model, after: str = "random", seed: int = 0):
        super().__init__(victim)
        check_choice("after", after, AFTER)
        check_number("seed", seed, low=0, integer=True)
        self.after, self.seed = after, int(seed)
        self.accounts: dict[str, Account] = {}
        self._lock = Lock()

    @abstractmethod
    def describe(self, images: Tensor) -> Tensor:
        """What the rule looks at, (B, D), of images (B, C, H, W)."""

    @abstractmethod
    def watch(self, memory: Any, points: Tensor, labels: Tensor) -> tuple[Tensor, Any]:
        """Which queries of one account raise the alarm, and what it is remembered by afterwards.

        Arguments: `memory`, what the last call gave back, `None` at first; it is never changed;
        `points` (B, D) and `labels` (B,), the predicted classes, in the order of arrival.
        The answer is bool (B,), on the CPU, and the new memory.
        """

    def serve(self, images: Tensor, client: str) -> Tensor:
        return self._respond(images, self._clean(images), client)

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        """What `simulate` does: it counts as queries of "default"."""
        return self._respond(images, probs, "default")

    def _respond(self, images: Tensor, probs: Tensor, client: str) -> Tensor:
        points, labels = self.describe(images), probs.argmax(1)
        with self._lock:
            known = self.accounts.get(client, Account())
            if self.for_good and known.fired is not None:
                alarms, memory = torch.ones(len(images), dtype=torch.bool), known.memory
            else:
                alarms, memory = self.watch(known.memory, points, labels)
            if self.for_good:
                alarms = alarms.cummax(0).values
            fired = known.fired
            if fired is None and bool(alarms.any()):
                fired = known.queries + int(alarms.int().argmax()) + 1
            self.accounts[client] = Account(
                memory, known.queries + len(images), known.flagged + int(alarms.sum()), fired
            )
        if not bool(alarms.any()):
            return probs
        numbers = known.queries + alarms.nonzero().flatten()
        answers = probs.clone()
        answers[alarms.to(probs.device)] = self._lies(numbers, probs.shape[1], client).to(probs)
        return answers

    def _lies(self, numbers: Tensor, classes: int, client: str) -> Tensor:
        """The answers to an account's queries of these numbers (n,): (n, K)."""
        if self.after == "uniform":
            return torch.full((len(numbers), classes), 1 / classes)
        drawn = torch.Generator().manual_seed(self.seed)
        logits = torch.randn(LIES, classes, generator=drawn)
        start = int.from_bytes(hashlib.blake2b(client.encode(), digest_size=4).digest())
        return logits[(start + numbers) % LIES].softmax(1)

    def fresh(self) -> "Detector":
        other = copy.copy(self)
        other.accounts, other._lock = {}, Lock()
        return other

    def report(self, client: str = "default") -> dict[str, int]:
        """Queries of a client, how many were answered with nothing, and when it first fired."""
        known = self.accounts.get(client, Account())
        counts = {"queries": known.queries, "flagged": known.flagged}
        return counts if known.fired is None else {**counts, "fired": known.fired}

    @torch.no_grad()
    def flagged_streams(
        self, images: Tensor, count: int = 1000, length: int = 1000, seed: int = 0
    ) -> int:
        """How many of `count` honest accounts raise an alarm, see `honest_streams`.

        Arguments: `images` (N, C, H, W), what honest users send; `length`, questions of each.

        >>> detector.flagged_streams(test_images, count=100, length=50)
        0
        """
        check_images(images)
        self.check(images)
        with evaluating(*self._models()):
            points, labels = self.describe(images), self._clean(images).argmax(1)
        streams = honest_streams(len(images), count, length, seed)
        return sum(bool(self.watch(None, points[r], labels[r])[0].any()) for r in streams)


def honest_streams(images: int, count: int, length: int, seed: int = 0) -> Iterator[Tensor]:
    """The questions of `count` honest accounts: rows of an image set, in an order of their own.

    No account asks the same image twice: where `length` is above the number of images, it asks
    each once. With repetitions an image would lie at distance 0 from itself, which says more about
    how accounts were drawn than about honest users.

    >>> [rows.tolist() for rows in honest_streams(3, count=2, length=5)]
    [[2, 0, 1], [2, 1, 0]]
    """
    for name, value in (("images", images), ("count", count), ("length", length)):
        check_number(name, value, low=1, integer=True)
    drawn = torch.Generator().manual_seed(int(seed))
    return (torch.randperm(images, generator=drawn)[:length] for _ in range(count))
