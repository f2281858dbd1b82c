"""What one can ask a QUEEN about its clients, and have it forget.

Everything here is a look at `Clients`, or a change of it, which has its own lock.
"""

from collections import OrderedDict
from typing import Any

from queen_ref.queen.client import Client
from queen_ref.queen.clients import Clients
from queen_ref.queen.sensitivity import SensitivityLedger


class Remembering:
    """The part of `Queen` that is about clients: counts, ledgers, forgetting.

    >>> isinstance(queen, Remembering), queen.max_clients
    (True, None)
    """

    _clients: Clients

    @property
    def clients(self) -> OrderedDict[str, Client]:
        """The clients by name, the one seen last at the end."""
        return self._clients.known

    @property
    def max_clients(self) -> int | None:
        """How many clients are remembered; `None`: all."""
        return self._clients.most

    @property
    def forgotten(self) -> int:
        """How many clients have left for others."""
        return self._clients.forgotten

    def report(self, client: str = "default") -> dict[str, int]:
        """Counts of one client so far: queries, inside, recorded, reversed.

        With `max_clients` also how many clients were "forgotten" for it, whoever they were; and
        after the gate has accused the client, "fired", the number of the query that raised it.
        From then on a query may be recorded and reversed, or reversed and not inside.

        >>> queen.report("a stranger")
        {'queries': 0, 'inside': 0, 'recorded': 0, 'reversed': 0}
        """
        return self._clients.report(client)

    def ledger(self, client: str = "default") -> SensitivityLedger:
        """The client's ledger; an empty one for a client who has not asked yet."""
        return self._clients.ledger(client)

    def new_ledger(self) -> SensitivityLedger:
        """An empty ledger over this victim's clusters."""
        return self._clients.blank.fork()

    def reset(self, client: str | None = None) -> None:
        """Forget one client, or all of them."""
        self._clients.reset(client)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, also one in another process, knows the clients as they are by now."""
        with self._clients.lock:
            return {**self.__dict__, "_clients": self._clients.copy()}
