"""What a QUEEN remembers of its clients: one entry for each, bounded if need be.

Threads may ask at once. A lock is held around every look and every change, and never while a
model runs: whoever judges takes a copy of a ledger and brings it back.
"""

from collections import OrderedDict
from collections.abc import Sequence

from queen_ref.checks import check_number
from queen_ref.queen.client import Client, no_counts
from queen_ref.queen.gate import Standing
from queen_ref.queen.point_grid import PointGrid
from queen_ref.queen.sensitivity import SensitivityLedger
from queen_ref.threads import Lock


class Clients:
    """The clients by name in `known`, the one seen last at the end.

    Arguments: `blank`, an empty ledger; `shared`, whether one ledger is for all; `most`, how many
    are remembered, `None`: all. The least recently seen client beyond it leaves, is a stranger when
    it comes back, and is counted in `forgotten`.
    Errors: `ValueError` for a `most` below 1, and for a client's name that is not a `str`.

    >>> clients = Clients(queen.new_ledger(), most=1000)
    >>> clients.report("alice")
    {'queries': 0, 'inside': 0, 'recorded': 0, 'reversed': 0, 'forgotten': 0}
    """

    def __init__(self, blank: SensitivityLedger, shared: bool = False, most: int | None = None):
        if most is not None:
            check_number("max_clients", most, low=1, integer=True)
        self.blank, self.shared, self.most = blank, shared, most
        self.known: OrderedDict[str, Client] = OrderedDict()
        self.forgotten = 0
        self.lock = Lock()

    def ledger(self, name: str) -> SensitivityLedger:
        """The client's ledger; an empty one for a client who has not asked yet."""
        with self.lock:
            return self._of(name).ledger

    def draft(self, name: str) -> tuple[SensitivityLedger, Standing]:
        """A copy of the client's ledger, to judge a batch on, and where it stands before a gate."""
        with self.lock:
            client = self._of(name)
            return client.ledger.fork(client.ledger.snapshot()), client.standing

    def keep(
        self,
        name: str,
        before: PointGrid,
        after: PointGrid,
        counts: Sequence[int],
        stood: Standing | None = None,
        stands: Standing | None = None,
    ) -> bool:
        """Count a batch and remember it, unless the client is no longer what it was judged by.

        Arguments: `before` and `after`, the draft's snapshots around the batch; `counts` of its
        verdict; `stood` and `stands`, with a gate, the client's standing before and after.

        >>> ledger = queen.new_ledger()
        >>> before, verdict = ledger.snapshot(), ledger.judge(query.points, query.labels)
        >>> Clients(ledger.fork()).keep("alice", before, ledger.snapshot(), verdict.counts())
        True
        """
        with self.lock:
            client = self._of(name)
            if client.ledger.point_grid is not before:
                return False
            if stands is not None:
                if client.standing != stood:
                    return False
                client.standing = stands
            client.ledger.restore(after)
            client.count(counts)
            self.known[name] = client
            self.known.move_to_end(name)
            while self.most is not None and len(self.known) > self.most:
                self.known.popitem(last=False)
                self.forgotten += 1
            return True

    def report(self, name: str) -> dict[str, int]:
        """The counters of one client, and what is told besides, see `Queen.report`."""
        with self.lock:
            client = self.known.get(name)
            counts = client.counts if client else no_counts()
            if client and client.standing.fired:
                counts["fired"] = client.standing.fired
            return counts if self.most is None else {**counts, "forgotten": self.forgotten}

    def reset(self, name: str | None = None) -> None:
        """Forget one client, or all of them."""
        with self.lock:
            if name is None:
                self.known.clear()
            else:
                self.known.pop(name, None)

    def copy(self) -> "Clients":
        """The clients as they are by now, with ledgers and a lock of their own."""
        with self.lock:
            own = {id(c.ledger): c.ledger for c in self.known.values()}  # perhaps one for all
            ledgers = {key: ledger.fork(ledger.snapshot()) for key, ledger in own.items()}
            other = Clients(self.blank, self.shared, self.most)
            for name, client in self.known.items():
                other.known[name] = Client(
                    ledgers[id(client.ledger)], **client.counts, standing=client.standing
                )
            other.forgotten = self.forgotten
            return other

    def become(self, other: "Clients") -> "Clients":
        """Take over the clients of `other`. The lock stays: threads may wait at it."""
        with self.lock:
            self.__dict__.update({**other.__dict__, "lock": self.lock})
            return self

    def _of(self, name: str) -> Client:
        # Only with the lock held.
        if not isinstance(name, str):
            raise ValueError(f"client: expected a name (str), got {name!r}")
        if name in self.known:
            return self.known[name]
        if self.shared and self.known:
            return Client(next(iter(self.known.values())).ledger)
        return Client(self.blank.fork())
