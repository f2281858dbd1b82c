"""One client of QUEEN: what was asked before, and how often each fate was met."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from queen_ref.queen.sensitivity import SensitivityLedger, Verdict

COUNTS = ("queries", "inside", "recorded", "reversed")


def no_counts() -> dict[str, int]:
    """The counters of a client who has not asked yet.

    >>> no_counts()
    {'queries': 0, 'inside': 0, 'recorded': 0, 'reversed': 0}
    """
    return dict.fromkeys(COUNTS, 0)


@dataclass
class Client:
    """One client's ledger and counters.

    >>> client = Client(queen.new_ledger())
    >>> with client.judging(query.points, query.labels) as verdict: turned = verdict.reverse
    """

    ledger: SensitivityLedger
    counts: dict[str, int] = field(default_factory=no_counts)

    @contextmanager
    def judging(self, points: Tensor, labels: Tensor) -> Iterator[Verdict]:
        """Judge mapped queries (B, 2) with labels (B,); count them once they are answered.

        Whoever gets no answer has not asked: on any error the ledger forgets them again.
        """
        before = self.ledger.snapshot()
        try:
            verdict = self.ledger.judge(points, labels)
            yield verdict
        except BaseException:
            self.ledger.restore(before)
            raise
        self.counts["queries"] += len(points)
        self.counts["inside"] += int(verdict.inside.sum())
        self.counts["recorded"] += int(verdict.recorded.sum())
        self.counts["reversed"] += int(verdict.reverse.sum())
