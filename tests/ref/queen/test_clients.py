"""All clients: who is remembered, who leaves, and what copies and threads see."""

import copy
import pickle

import pytest
import torch
from hurry import at_once
from plane import CENTERS, RADII, queries

from queen_ref.queen.clients import Clients
from queen_ref.queen.gate import Gate, Standing
from queen_ref.queen.sensitivity import SensitivityLedger


def clients(**settings):
    return Clients(SensitivityLedger(CENTERS, RADII, threshold=0.02), **settings)


def ask(known, name, number=20, seed=0):
    """As `Queen` does: judge on a draft until nobody else has come first."""
    while True:
        ledger, _ = known.draft(name)
        before = ledger.snapshot()
        counts = ledger.judge(*queries(number, seed)).counts()
        if known.keep(name, before, ledger.snapshot(), counts):
            return


def test_a_stranger_is_not_remembered():
    known = clients()
    assert known.report("a")["queries"] == 0 and known.ledger("a").points[1].numel() == 0
    known.draft("a")[0].judge(*queries(20, 0))
    assert not known.known
    with pytest.raises(ValueError, match="client: expected a name"):
        known.draft(3)


def test_a_batch_judged_by_an_old_history_is_not_kept():
    known = clients()
    late, _ = known.draft("a")
    before = late.snapshot()
    counts = late.judge(*queries(20, 1)).counts()
    ask(known, "a")
    once = known.report("a")
    assert not known.keep("a", before, late.snapshot(), counts) and known.report("a") == once
    assert int(known.ledger("a").recorded.sum()) == once["recorded"] > 0


def test_the_least_recently_seen_leaves_and_is_counted():
    known = clients(most=2)
    for name in "abac":
        ask(known, name)
    assert list(known.known) == ["a", "c"] and known.forgotten == 1
    assert known.report("b") == dict(queries=0, inside=0, recorded=0, reversed=0, forgotten=1)
    assert "forgotten" not in clients().report("b")
    with pytest.raises(ValueError, match="max_clients: expected an integer >= 1"):
        clients(most=0)


def test_a_shared_ledger_is_one_for_all_and_for_all_of_a_copy():
    known = clients(shared=True)
    ask(known, "a")
    ask(known, "b", seed=1)
    other = known.copy()
    assert known.ledger("a") is known.ledger("b") is known.ledger("stranger")
    assert other.ledger("a") is other.ledger("b") and other.ledger("a") is not known.ledger("a")


@pytest.mark.parametrize(
    "copied",
    [Clients.copy, lambda c: copy.deepcopy(c.copy()), lambda c: pickle.loads(pickle.dumps(c))],
)
def test_a_copy_goes_its_own_way(copied):
    known = clients(most=5)
    ask(known, "a")
    other = copied(known)
    assert other.report("a") == known.report("a")
    ask(other, "b")
    other.reset("a")
    assert list(known.known) == ["a"] and list(other.known) == ["b"]


def test_others_take_over_and_the_lock_stays():
    known, other = clients(), clients(most=1)
    ask(known, "a")
    ask(other, "b")
    lock = known.lock
    assert known.become(other) is known and known.lock is lock
    assert list(known.known) == ["b"] and known.most == 1


def test_eight_threads_lose_nothing():
    known = clients()
    at_once(lambda number: ask(known, str(number % 3), 5, seed=number), range(60))
    assert [known.report(str(name))["queries"] for name in range(3)] == [100] * 3
    for name in range(3):
        recorded = int(known.ledger(str(name)).recorded.sum())
        assert known.report(str(name))["recorded"] == recorded > 0


def watch(known, name, as_usual):
    """As `Queen` does with a gate."""
    while True:
        ledger, stood = known.draft(name)
        before = ledger.snapshot()
        alarms, stands = Gate(0.5, 0.25).watch(stood, as_usual)
        counts = [len(alarms), 0, 0, int(alarms.sum())]
        if known.keep(name, before, before, counts, stood, stands):
            return


def test_a_batch_watched_by_an_old_standing_is_not_kept():
    known = clients()
    ledger, stood = known.draft("a")
    history = ledger.snapshot()
    assert stood == Standing()
    watch(known, "a", torch.zeros(5).bool())
    once = known.report("a")
    late = Standing(), Standing(1, 1)
    assert not known.keep("a", history, history, [1, 0, 0, 0], *late)
    assert known.report("a") == once and known.draft("a")[1].seen == 5
    assert known.copy().draft("a")[1] == known.draft("a")[1]


def test_eight_threads_move_one_standing_as_one_would():
    known, alone = clients(), clients()
    bits = torch.tensor([True, False, False, False, False])
    at_once(lambda number: watch(known, "a", bits[number % 5][None]), range(60))
    watch(alone, "a", torch.zeros(60).bool())
    assert known.draft("a")[1].seen == 60 and known.report("a")["queries"] == 60
    # In another order the alarm comes elsewhere; no query is lost, and each comes before or after.
    assert known.report("a")["reversed"] == 60 - known.report("a")["fired"] + 1
    assert known.report("a")["fired"] > alone.report("a")["fired"]
