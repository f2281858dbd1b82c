"""Wald's test with a floor: its loop, its promise, and what it does to sleepers."""

from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from queen_ref.queen.gate import UNIT, Gate, Standing

BITS = st.lists(st.booleans(), min_size=1, max_size=120)
GATES = st.builds(
    lambda usual, ratio, alarm: Gate(usual, ratio * usual, alarm),
    st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
    st.floats(1e-6, 0.4),
)


def loop(gate, bits, level=0, seen=0, fired=0):
    """The definition, one query at a time."""
    alarms = []
    for bit in bits:
        seen += 1
        if not fired:
            level = max(gate.floor, level + (gate.down if bit else gate.up))
            fired = seen if level >= gate.height else 0
        alarms.append(bool(fired))
    return alarms, fired


@given(GATES, BITS)
def test_a_batch_is_watched_as_one_by_one(gate, bits):
    alarms, standing = gate.watch(Standing(), torch.tensor(bits))
    wanted, fired = loop(gate, bits)
    assert alarms.tolist() == wanted
    assert (standing.seen, standing.fired) == (len(bits), fired)


@given(GATES, BITS, st.data())
def test_batches_may_be_cut_anywhere(gate, bits, data):
    cut = data.draw(st.integers(1, len(bits)))
    whole, at_last = gate.watch(Standing(), torch.tensor(bits))
    first, standing = gate.watch(Standing(), torch.tensor(bits[:cut]))
    if cut < len(bits):
        second, standing = gate.watch(standing, torch.tensor(bits[cut:]))
        first = torch.cat([first, second])
    assert torch.equal(first, whole)
    assert standing == at_last


@given(GATES, st.floats(0, 1))
def test_the_likelihood_ratio_has_no_mean_above_one_for_any_honest_rate(gate, more):
    """Step 1 of the proof, with the steps that are really taken."""
    rate = gate.usual + more * (1 - gate.usual)
    up, down = (2.718281828459045 ** (step / UNIT) for step in (gate.up, gate.down))
    assert rate * down + (1 - rate) * up <= 1 + 1e-12
    assert abs(gate.usual * down + (1 - gate.usual) * up - 1) < 1e-6
    assert gate.floor == -gate.height and gate.height >= UNIT * log(1 / gate.alarm)


@pytest.mark.parametrize("alarm", [0.05, 0.2])
@pytest.mark.parametrize("rate", [0.5, 0.6])
def test_honest_clients_are_accused_no_oftener_than_promised(alarm, rate):
    """Exactly, by the distribution of the level: no draw decides whether this test passes."""
    gate, queries = Gate(0.5, 0.25, alarm), 300
    level, accused = {0: 1.0}, 0.0
    for _ in range(queries):
        after = {}
        for now, weight in level.items():
            for step, share in ((gate.down, rate), (gate.up, 1 - rate)):
                place = max(gate.floor, now + step)
                if place >= gate.height:
                    accused += weight * share
                else:
                    after[place] = after.get(place, 0.0) + weight * share
        level = after
    assert 0 < accused <= gate.promised(queries)
    drawn = torch.arange(100) < 100 * rate
    found = gate.accused(drawn, count=400, length=queries) / 400
    assert abs(found - accused) < 4 * (accused * (1 - accused) / 400) ** 0.5 + 1e-9


def test_good_behaviour_cannot_be_saved_up():
    gate = Gate(0.5, 0.25)
    stranger = gate.watch(Standing(), torch.zeros(1000).bool())[1].fired
    _, slept = gate.watch(Standing(), torch.ones(100_000).bool())
    sleeper = gate.watch(slept, torch.zeros(1000).bool())[1].fired - 100_000
    assert stranger < sleeper <= 2 * stranger


def test_a_stream_as_the_alternative_is_accused_and_stays_so():
    gate = Gate(0.5, 0.25)
    thief = torch.rand(2000, generator=torch.Generator().manual_seed(0)) < 0.25
    alarms, standing = gate.watch(Standing(), thief)
    assert 18 <= standing.fired < 200 and int(alarms.sum()) == 2000 - standing.fired + 1
    assert bool(gate.watch(standing, torch.ones(5).bool())[0].all())


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0.5, 0.6), r"p_1\): expected less than p_0 = 0.5, got 0.6"),
        ((0.0, 0.0), r"usual \(p_0\): expected a number > 0"),
        ((0.5, 0.0), r"other \(p_1\)"),
        ((0.5, 0.2, 0.0), r"alarm \(alpha\)"),
    ],
)
def test_numbers_that_do_not_lie_so_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        Gate(*numbers)
