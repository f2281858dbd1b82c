"""What is saved comes back; what is damaged does not."""

import copy

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


def test_a_shared_ledger_stays_shared_after_loading(setting, queen, images):
    shared = queen.with_settings(ledgers="shared")
    shared(images, client="a")
    shared(images[:1], client="b")
    shared.load_state_dict(shared.state_dict())
    assert shared.ledger("a") is shared.ledger("b")


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


def old_format(queen):
    """What was saved before clients were packed and the body was known."""
    state = queen.state_dict()
    for name in ("probes", "max_clients", "forgotten"):
        del state[name]
    ledgers = {
        name: {"ledger": client.ledger.state_dict(), "counts": client.counts}
        for name, client in queen.clients.items()
    }
    return {**state, "version": 2, "clients": ledgers}


def test_a_state_of_the_old_format_is_still_read(setting, queen, images):
    queen(images[:60], client="a")
    queen(images[:60], client="b")
    again = qr.Queen.from_state(setting[0], old_format(queen))
    assert again.report("b") == queen.report("b")
    assert torch.equal(again.ledger("a").cqs, queen.ledger("a").cqs)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("counts", lambda c: {**c, "counts": {}}),
        ("cqs", lambda c: {**c, "ledger": {**c["ledger"], "cqs": torch.zeros(1)}}),
        ("a ledger and counts", lambda c: {}),
    ],
)
def test_a_corrupt_state_of_the_old_format_is_refused(setting, queen, images, message, change):
    queen(images[:60], client="a")
    state = old_format(queen)
    state["clients"] = {"a": change(state["clients"]["a"])}
    with pytest.raises(ValueError, match=message):
        qr.Queen.from_state(setting[0], state)


def test_many_clients_come_back_in_few_tensors(setting, queen, images):
    for number in range(40):
        queen(images[number : number + 3], client=str(number))
    state = queen.state_dict()
    assert state["clients"]["counts"].shape == (40, 4)
    again = qr.Queen.from_state(setting[0], state)
    assert list(again.clients) == list(queen.clients)
    for name, known in queen.clients.items():
        assert again.report(name) == known.counts
        assert torch.equal(again.ledger(name).point_grid.table, known.ledger.point_grid.table)


def _moved(victim, by=1.0):
    other = copy.deepcopy(victim)
    weight = other.body[-2].weight
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    weight.data += by * weight.std() * noise
    return other


def _of_another_seed(victim):
    other = qr.models.build("small_cnn", (1, 8, 8), victim.num_classes, seed=5).eval()
    other.head.load_state_dict(victim.head.state_dict())
    return other


def _permuted(victim):
    other = copy.deepcopy(victim)
    other.body[-2].weight.data = other.body[-2].weight.data.flip(0)
    return other


def _renormalised(victim):
    other = copy.deepcopy(victim)
    other.mean = 0.2
    return other


@pytest.mark.parametrize("change", [_of_another_seed, _moved, _permuted, _renormalised])
def test_another_body_with_the_same_last_layer_is_refused(setting, queen, change, tmp_path):
    queen.save(tmp_path / "queen.pt")
    other = change(setting[0])
    with pytest.raises(ValueError, match="expected the victim it was fitted to"):
        qr.Queen.load(other, tmp_path / "queen.pt")


def test_a_hair_of_rounding_is_the_same_victim(setting, queen):
    assert qr.Queen.from_state(_moved(setting[0], 1e-3), queen.state_dict()).seed == queen.seed


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
