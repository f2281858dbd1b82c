"""One client: the counters are those of the verdicts."""

import pickle

from plane import CENTERS, RADII, queries

from queen_ref.queen.client import COUNTS, Client, no_counts
from queen_ref.queen.sensitivity import SensitivityLedger


def test_counters_are_those_of_the_verdicts():
    client = Client(SensitivityLedger(CENTERS, RADII, threshold=0.02))
    verdicts = []
    for seed in range(4):
        verdicts.append(client.ledger.observe(*queries(100, seed)))
        client.count(verdicts[-1].counts())
    assert client.counts["queries"] == 400
    for count, name in (("inside", "inside"), ("recorded", "recorded"), ("reversed", "reverse")):
        assert client.counts[count] == sum(int(getattr(v, name).sum()) for v in verdicts) > 0


def test_a_stranger_has_the_counters_of_a_client_in_their_order():
    assert list(no_counts()) == list(Client(SensitivityLedger(CENTERS, RADII)).counts) == [*COUNTS]


def test_a_client_with_one_point_is_small():
    blank = SensitivityLedger(CENTERS, RADII)
    client = Client(blank.fork())
    client.ledger.observe(CENTERS[:1], queries(1, 0)[1] * 0)
    assert client.ledger.regions is blank.regions
    assert not hasattr(client, "__dict__") and not hasattr(client.ledger, "__dict__")
    assert client.ledger.point_grid.table.untyped_storage().nbytes() == 32
    assert pickle.loads(pickle.dumps(client)).ledger.recorded.tolist() == [1, 0, 0]
