"""What is saved comes back; what is damaged does not."""

import pytest
import torch
from hurry import at_once

import queen_ref as qr


def test_state_survives_save_and_load(setting, queen, images, tmp_path):
    queen(images[:100], client="a")
    queen.save(tmp_path / "queen.pt")
    again = qr.Queen.load(setting[0], tmp_path / "queen.pt")
    assert again.report("a") == queen.report("a")
    torch.testing.assert_close(again(images[100:], "a"), queen(images[100:], "a"))
    assert again.report("a") == queen.report("a")


CORRUPTIONS = {
    "not ours": lambda s: {},
    "version": lambda s: {**s, "version": 99},
    "QueenConfig": lambda s: {**s, "config": {"speed": 3}},
    "spacing": lambda s: {**s, "config": {**s["config"], "spacing": -1.0}},
    "finite": lambda s: {**s, "centers": s["centers"] * float("nan")},
    "features": lambda s: {**s, "centroids": s["centroids"][:, :5]},
    "radii": lambda s: {**s, "radii": s["radii"][:2]},
    "widths": lambda s: {**s, "map_widths": [7, 2]},
    "weights": lambda s: {**s, "feature_map": {}},
    "shadows": lambda s: {**s, "shadows": s["shadows"][:1]},
    "shape": lambda s: {**s, "shape": "8x8"},
    "counts": lambda s: {**s, "clients": {**s["clients"], "counts": torch.zeros(1, 3).long()}},
    "a name for every": lambda s: {**s, "clients": {**s["clients"], "names": [3]}},
    "histories": lambda s: {**s, "clients": {**s["clients"], "histories": {}}},
    "clients' ledgers": lambda s: {**s, "clients": []},
    "probes": lambda s: {**s, "probes": s["probes"][0]},
    "max_clients": lambda s: {**s, "max_clients": 0},
    "forgotten": lambda s: {**s, "forgotten": -1},
    "held_out": lambda s: {**s, "held_out": torch.zeros(3)},
    "held_out beside a gate": lambda s: {**s, "config": {**s["config"], "gate": "inside"}},
    "key": lambda s: {**s, "key": "no digits"},
    "the key": lambda s: {**s, "key": None},
}  # fmt: skip


@pytest.mark.parametrize("message", CORRUPTIONS)
def test_a_corrupt_state_is_refused_and_changes_nothing(queen, images, message):
    queen(images[:50], client="a")
    before = queen.report("a")
    corrupt = CORRUPTIONS[message](queen.state_dict())
    expected = "expected a dict" if message == "not ours" else message
    with pytest.raises(ValueError, match=expected):
        queen.load_state_dict(corrupt)
    assert queen.report("a") == before


def test_a_state_is_refused_by_another_victim(queen, images, tmp_path):
    queen.save(tmp_path / "queen.pt")
    other = qr.models.build("small_cnn", tuple(images.shape[1:]), queen.victim.num_classes, seed=99)
    with pytest.raises(ValueError, match="the victim it was fitted to"):
        qr.Queen.load(other, tmp_path / "queen.pt")


@pytest.mark.parametrize("damage", ["truncated", "noise", "missing"])
def test_a_damaged_file_is_refused(setting, queen, tmp_path, damage):
    path = tmp_path / "queen.pt"
    queen.save(path)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"not a state")
    with pytest.raises(ValueError, match="state: expected"):
        qr.Queen.load(setting[0], path)


def test_a_file_that_would_run_code_is_refused(setting, tmp_path):
    class Malice:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"version": Malice()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="state: expected"):
        qr.Queen.load(setting[0], tmp_path / "evil.pt")
    assert not (tmp_path / "owned").exists()


def test_saving_while_others_ask_is_a_state_that_was(setting, queen, images):
    def work(number):
        if number % 10 == 0:
            return queen.state_dict()
        queen(images[number % 300][None], client=str(number))
        return None

    states = [state for state in at_once(work, range(200)) if state is not None]
    assert len(states) == 20 and all(isinstance(state, dict) for state in states)
    for state in states[::7]:
        again = qr.Queen.from_state(setting[0], state)
        assert all(known.queries == 1 for known in again.clients.values())
