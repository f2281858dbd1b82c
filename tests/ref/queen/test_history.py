"""A ledger's history comes back from what was saved, and not from what was damaged."""

import pytest
import torch
from plane import CENTERS, RADII, queries

import queen_ref as qr


def test_history_survives_save_and_load(tmp_path):
    points, labels = queries(600, seed=3)
    ledger = qr.SensitivityLedger(CENTERS, RADII, threshold=0.05)
    ledger.observe(points[:300], labels[:300])
    torch.save(ledger.state_dict(), tmp_path / "ledger.pt")
    again = qr.SensitivityLedger(CENTERS, RADII, threshold=0.05)
    again.load_state_dict(torch.load(tmp_path / "ledger.pt", weights_only=True))
    assert torch.equal(again.cqs, ledger.cqs) and torch.equal(again.recorded, ledger.recorded)
    there, here = (one.observe(points[300:], labels[300:]) for one in (again, ledger))
    assert torch.equal(there.reverse, here.reverse) and torch.equal(there.novel, here.novel)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cqs": torch.tensor([float("nan")] * 3)}, "finite"),
        ({"cqs": torch.zeros(2)}, "cqs"),
        ({"labels": torch.tensor([7])}, "labels"),
        ({"points": torch.full((1, 2), 99.0), "labels": torch.tensor([0])}, "inside"),
        ({"centers": torch.zeros(3, 2)}, "same centers"),
        ({"settings": {"spacing": 0.1}}, "settings"),
    ],
)
def test_a_corrupt_state_is_refused_and_changes_nothing(change, message):
    ledger = qr.SensitivityLedger(CENTERS, RADII)
    ledger.observe(*queries(50, seed=4))
    before = ledger.state_dict()
    with pytest.raises(ValueError, match=message):
        ledger.load_state_dict({**before, **change})
    after = ledger.state_dict()
    assert torch.equal(before["cqs"], after["cqs"])
    assert torch.equal(before["points"], after["points"])
