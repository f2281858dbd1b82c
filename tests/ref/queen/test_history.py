"""A ledger's history comes back from what was saved, and not from what was damaged."""

import pytest
import torch
from plane import CENTERS, RADII, queries

import queen_ref as qr
from queen_ref.queen.history import pack, unpack


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


def histories(count):
    blank = qr.SensitivityLedger(CENTERS, RADII, threshold=0.05)
    ledgers = [blank.fork() for _ in range(count)]
    for number, ledger in enumerate(ledgers[1:]):  # the first has none
        ledger.observe(*queries(20 * number + 1, seed=number))
    return blank.regions, [ledger.snapshot() for ledger in ledgers]


def test_many_histories_come_back_as_they_were():
    regions, before = histories(8)
    packed = pack(before, regions)
    assert packed["sizes"].tolist() == [history.table.shape[1] for history in before]
    after = unpack(packed, regions)
    assert all(torch.equal(a.table, b.table) for a, b in zip(after, before, strict=True))
    assert pack([], regions)["sizes"].tolist() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {**p, "sizes": p["sizes"] + 1}, "add up"),
        (lambda p: {**p, "sizes": p["sizes"].float()}, "sizes"),
        (lambda p: {**p, "points": p["points"] + 50}, "inside"),
        (lambda p: {**p, "labels": p["labels"] + 9}, "labels"),
        (lambda p: {**p, "cqs": -p["cqs"]}, "cqs"),
        (lambda p: {**p, "cqs": torch.rand(len(p["cqs"]))}, "one cqs"),
        (lambda p: {**p, "points": p["points"] * float("nan")}, "finite"),
        (lambda p: {}, "histories with"),
        (
            lambda p: {name: value.repeat_interleave(90, 0) if name != "sizes" else 90 * value
                       for name, value in p.items()},
            "can hold",
        ),
    ],
)  # fmt: skip
def test_damaged_histories_are_refused(change, message):
    regions, before = histories(5)
    with pytest.raises(ValueError, match=message):
        unpack(change(pack(before, regions)), regions)


def test_a_cqs_without_points_is_refused():
    ledger = qr.SensitivityLedger(CENTERS, RADII)
    state = {**ledger.state_dict(), "cqs": torch.ones(3)}
    with pytest.raises(ValueError, match="without recorded points"):
        ledger.load_state_dict(state)
