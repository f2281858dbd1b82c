"""Who is reversed: whom the ledger accuses, or whom the gate does.

Without a gate the ledger decides, as in the paper. With one (ours, see `queen_ref.queen.gate`) it
counts and no longer accuses. Let n be a query, and "fired" the one that raised the client's alarm:

    no gate                     reverse n   where the ledger says so,
    gate_reverses="all"         reverse n   where n >= fired,
    gate_reverses="ledger"      reverse n   where n >= fired and the ledger says so.

Until the gate has fired nothing is reversed, however much the client has covered: who asks like
honest clients is answered like them.

The ledger may be one for all clients (ledgers="shared"); guilt is always one's own. So with
gate_reverses="ledger" many accounts cover the discs together, and a client who is not accused pays
nothing for what others have covered: who fills the ledger harms no customer.
"""

from dataclasses import dataclass

from torch import Tensor

from queen_ref.queen.gate import Gate, Standing
from queen_ref.queen.held_out import Drift
from queen_ref.queen.query import Query
from queen_ref.queen.sensitivity import Verdict


@dataclass(frozen=True)
class Accusing:
    """The rule of a QUEEN's settings. Arguments: `drift`, its gate; `reverses`, "all" | "ledger".

    >>> verdict = queen.new_ledger().judge(query.points, query.labels)
    >>> Accusing().accuse(verdict, query, Standing())[1] is None        # it has no gate
    True
    """

    drift: Drift | None = None
    reverses: str = "all"

    @property
    def gate(self) -> Gate | None:
        """Wald's test, with its p_0 and p_1."""
        return None if self.drift is None else self.drift.gate

    def accuse(
        self, verdict: Verdict, query: Query, stood: Standing
    ) -> tuple[Tensor, Standing | None]:
        """Which answers of a batch are reversed, bool (B,), and where its client stands then.

        Arguments: `verdict` of the ledger; `stood`, where the client stood before. Without a gate
        nobody stands anywhere: `None`.
        """
        if self.drift is None:
            return verdict.reverse, None
        as_usual = self.drift.as_usual(query, verdict.inside)
        alarms, stands = self.drift.gate.watch(stood, as_usual)
        return alarms if self.reverses == "all" else alarms & verdict.reverse, stands

    def accused(self, query: Query, inside: Tensor, count: int, length: int, seed: int = 0) -> int:
        """How many of `count` clients the gate accuses who ask `length` of these queries each."""
        if self.drift is None:
            return 0
        as_usual = self.drift.as_usual(query, inside).cpu()
        return self.drift.gate.accused(as_usual, count, length, seed)
