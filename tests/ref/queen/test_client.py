"""One client: counted once answered, and forgotten where there was no answer."""

import pytest
import torch
from plane import CENTERS, RADII, queries

from queen_ref.queen.client import Client
from queen_ref.queen.sensitivity import SensitivityLedger


@pytest.fixture
def client():
    return Client(SensitivityLedger(CENTERS, RADII, threshold=0.02))


def test_counters_are_those_of_the_verdicts(client):
    verdicts = []
    for seed in range(4):
        points, labels = queries(100, seed)
        with client.judging(points, labels) as verdict:
            verdicts.append(verdict)
    assert client.counts["queries"] == 400
    for count, name in (("inside", "inside"), ("recorded", "recorded"), ("reversed", "reverse")):
        assert client.counts[count] == sum(int(getattr(v, name).sum()) for v in verdicts) > 0


def test_who_gets_no_answer_has_not_asked(client):
    points, labels = queries(200, seed=1)
    with client.judging(points[:100], labels[:100]):
        pass
    counts, before = dict(client.counts), client.ledger.state_dict()
    with pytest.raises(KeyboardInterrupt), client.judging(points[100:], labels[100:]):
        raise KeyboardInterrupt
    after = client.ledger.state_dict()
    assert client.counts == counts
    assert all(torch.equal(before[name], after[name]) for name in ("cqs", "points", "labels"))
