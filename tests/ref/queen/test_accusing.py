"""Who is reversed: with no gate, with one, and with one joined to the ledger."""

import pytest
import torch

from queen_ref.queen.accusing import Accusing
from queen_ref.queen.gate import Gate, Standing
from queen_ref.queen.held_out import Drift
from queen_ref.queen.query import Query
from queen_ref.queen.sensitivity import Verdict

YES, NO = torch.ones(40).bool(), torch.zeros(40).bool()
EVEN = torch.arange(40) % 2 == 0
QUERY = Query(*(torch.zeros(40, 2) for _ in range(4)))


def verdict(inside, reverse):
    return Verdict(inside=inside, novel=reverse, reverse=reverse)


def test_without_a_gate_the_ledger_decides():
    turn, stands = Accusing(reverses="all").accuse(verdict(YES, EVEN), QUERY, Standing())
    assert turn is not None and torch.equal(turn, EVEN) and stands is None
    assert Accusing().gate is None and Accusing().accused(QUERY, YES, 10, 10) == 0


@pytest.mark.parametrize("reverses", ["all", "ledger"])
def test_behind_a_gate_nobody_pays_before_it_has_fired(reverses):
    gate = Gate(0.5, 0.25)
    accusing = Accusing(Drift("inside", 0.0, gate), reverses)
    turn, stands = accusing.accuse(verdict(YES, YES), QUERY, Standing())
    assert not bool(turn.any()) and stands.fired == 0 and stands.seen == 40
    turn, stands = accusing.accuse(verdict(NO, EVEN), QUERY, Standing())
    late = torch.arange(40) >= stands.fired - 1
    assert stands.fired == 18
    assert torch.equal(turn, late if reverses == "all" else late & EVEN)
    turn, again = accusing.accuse(verdict(YES, EVEN), QUERY, stands)
    assert torch.equal(turn, YES if reverses == "all" else EVEN) and again.fired == 18
    assert accusing.gate is gate
    assert accusing.accused(QUERY, NO, 10, 20) == 10 and accusing.accused(QUERY, YES, 10, 20) == 0
