"""Wald's test with a floor: its loop, its promise, and what it does to sleepers."""

from math import comb, log

import pytest
import torch
from hypothesis import given, settings
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
    accused = accused_share(gate, queries, lambda *_: rate, gate.floor)
    assert 0 < accused <= gate.promised(queries)
    drawn = torch.arange(100) < 100 * rate
    found = gate.accused(drawn, count=400, length=queries) / 400
    assert abs(found - accused) < 4 * (accused * (1 - accused) / 400) ** 0.5 + 1e-9


def accused_share(gate, queries, rate_at, floor):
    """The probability of an alarm, exactly, where the rate may depend on all that was seen."""
    level, accused = {0: 1.0}, 0.0
    for n in range(queries):
        after = {}
        for now, weight in level.items():
            rate = rate_at(n, now)
            for step, share in ((gate.down, rate), (gate.up, 1 - rate)):
                place = max(floor, now + step)
                if place >= gate.height:
                    accused += weight * share
                elif share:
                    after[place] = after.get(place, 0.0) + weight * share
        level = after
    return accused


WILD = st.lists(st.floats(0, 1), min_size=24, max_size=24)
FEW = settings(max_examples=30, deadline=None)  # an exact distribution takes its time


@FEW
@given(GATES, WILD, st.integers(1, 24))
def test_resampled_streams_are_accused_within_the_bound_whatever_the_honest_rates(gate, more, n):
    """Of draws with replacement the rate is one number; the law holds for any rates above p_0."""
    rates = [gate.usual + one * (1 - gate.usual) for one in more]
    for floor, bound in ((gate.floor, gate.promised(n)), (-(10**18), gate.alarm)):
        assert accused_share(gate, n, lambda i, _: rates[0], floor) <= bound + 1e-9
        assert accused_share(gate, n, lambda i, _: rates[i], floor) <= bound + 1e-9


@FEW
@given(GATES, st.floats(0, 1), st.integers(1, 24))
def test_not_even_who_tries_to_be_accused_with_an_honest_rate_is(gate, where, n):
    """He is as usual no oftener than he must from some level on, and always below it."""
    turn = gate.floor + where * (gate.height - gate.floor)
    for eager in (True, False):

        def rate_at(_, now, eager=eager):
            return gate.usual if (now >= turn) == eager else 1.0

        assert accused_share(gate, n, rate_at, gate.floor) <= gate.promised(n) + 1e-9
        assert accused_share(gate, n, rate_at, -(10**18)) <= gate.alarm + 1e-9


def test_where_answers_repeat_the_law_is_silent_and_an_honest_client_can_be_accused():
    """A few images, drawn again and again: some clients' own rate is below p_0, all are honest."""
    gate, m = Gate(0.5, 0.25), 10
    shares = []
    for usual in range(m + 1):  # of his m images; of all honest images one half is as usual
        bits = torch.arange(m) < usual
        weight = comb(m, usual) / 2**m
        shares.append(weight * gate.accused(bits, count=20, length=500) / 20)
    assert sum(shares) > 10 * gate.promised(500)


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


@pytest.mark.parametrize("bits", [torch.zeros(0).bool(), torch.zeros(3), torch.tensor(True)])
def test_bits_are_bits_and_at_least_one(bits):
    with pytest.raises(ValueError, match="as_usual: expected"):
        Gate(0.5, 0.25).levels(bits)
    with pytest.raises(ValueError, match="as_usual: expected"):
        Gate(0.5, 0.25).accused(bits, count=2, length=2)


def test_a_promise_is_a_share():
    assert Gate(0.5, 0.25, 0.1).promised(10**6) == 1.0


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
