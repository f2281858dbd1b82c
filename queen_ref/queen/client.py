"""One client of QUEEN: what was asked before, how often each fate was met, what the gate holds."""

from collections.abc import Sequence
from dataclasses import dataclass

from queen_ref.queen.gate import Standing
from queen_ref.queen.sensitivity import SensitivityLedger

COUNTS = ("queries", "inside", "recorded", "reversed")


def no_counts() -> dict[str, int]:
    """The counters of a client who has not asked yet.

    >>> no_counts()
    {'queries': 0, 'inside': 0, 'recorded': 0, 'reversed': 0}
    """
    return dict.fromkeys(COUNTS, 0)


@dataclass(slots=True)
class Client:
    """One client's ledger, counters and standing.

    There may be a hundred thousand: no dict, no spare tensor.

    >>> client = Client(queen.new_ledger())
    >>> client.count(client.ledger.observe(points, labels).counts())
    """

    ledger: SensitivityLedger
    queries: int = 0
    inside: int = 0
    recorded: int = 0
    reversed: int = 0
    standing: Standing = Standing()  # before the gate; without a gate it stays so

    @property
    def counts(self) -> dict[str, int]:
        """The counters by name, in the order of `COUNTS`."""
        return {name: getattr(self, name) for name in COUNTS}

    def count(self, more: Sequence[int]) -> None:
        """Add the counts of a verdict."""
        for name, count in zip(COUNTS, more, strict=True):
            setattr(self, name, getattr(self, name) + count)
