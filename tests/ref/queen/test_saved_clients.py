"""The clients of a saved QUEEN come back, those of the old format too."""

import pytest
import torch

import queen_ref as qr
from queen_ref.queen.config import LATER


def test_a_shared_ledger_stays_shared_after_loading(setting, queen, images):
    shared = queen.with_settings(ledgers="shared")
    shared(images, client="a")
    shared(images[:1], client="b")
    shared.load_state_dict(shared.state_dict())
    assert shared.ledger("a") is shared.ledger("b")


def without_a_gate(queen):
    """Version 3: what was saved before there was a gate, or anything hidden."""
    state = queen.state_dict()
    for name in ("held_out", "key"):
        del state[name]
    for name in LATER:
        del state["config"][name]
    state["config"]["method"] = state["config"].pop("answer")
    clients = {name: value for name, value in state["clients"].items() if name != "standings"}
    return {**state, "version": 3, "clients": clients}


def old_format(queen):
    """Version 2: what was saved before clients were packed and the body was known."""
    state = without_a_gate(queen)
    for name in ("probes", "max_clients", "forgotten"):
        del state[name]
    ledgers = {
        name: {"ledger": client.ledger.state_dict(), "counts": client.counts}
        for name, client in queen.clients.items()
    }
    return {**state, "version": 2, "clients": ledgers}


@pytest.mark.parametrize("older", [old_format, without_a_gate])
def test_a_state_of_an_older_format_is_still_read(setting, queen, images, older):
    exact = queen.with_settings(answer="exact")
    exact(images[:5], client="a")
    assert qr.Queen.from_state(setting[0], older(exact)).config == exact.config
    queen(images[:60], client="a")
    queen(images[:60], client="b")
    again = qr.Queen.from_state(setting[0], older(queen))
    assert again.report("b") == queen.report("b")
    assert again.parts.key == queen.parts.key and again.parts.held_out is None
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


def test_standings_come_back_and_wrong_ones_are_refused(setting, gated, images):
    gated(images[:20], client="a")
    gated(torch.rand(60, *images.shape[1:]), client="b")
    again = qr.Queen.from_state(setting[0], gated.state_dict())
    assert again.report("b") == gated.report("b") and again.report("b")["fired"] > 1
    for name in "ab":
        assert again.clients[name].standing == gated.clients[name].standing
    empty = qr.Queen.from_state(setting[0], gated.fresh().state_dict())
    assert not empty.clients and repr(empty.gate) == repr(gated.gate)


N = torch.arange(300)
WRONG = {
    "no one's": lambda rows: None,
    "another shape": lambda rows: rows[:, :2],
    "another kind": lambda rows: rows.float(),
    "fired before it came": lambda rows: rows.index_put((N[1], N[2]), N[200]),
    "fired and not over": lambda rows: rows.index_put((N[1], N[0]), N[0]),
    "over and not fired": lambda rows: rows.index_put((N[0], N[0]), rows[1, 0]),
    "below the floor": lambda rows: rows.index_put((N[0], N[0]), -rows[1, 0] - 2**33),
    "another number of queries": lambda rows: rows.index_put((N[0], N[1]), N[3]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_standings_that_this_gate_cannot_have_left_are_refused(setting, gated, images, wrong):
    gated(images[:20], client="a")
    gated(torch.rand(60, *images.shape[1:]), client="b")
    state = gated.state_dict()
    state["clients"]["standings"] = WRONG[wrong](state["clients"]["standings"])
    with pytest.raises(ValueError, match="state: expected .*standings"):
        qr.Queen.from_state(setting[0], state)


def test_an_accused_client_is_not_pardoned_by_a_state_without_standings(setting, gated, images):
    gated(torch.rand(60, *images.shape[1:]), client="b")
    state = gated.state_dict()
    del state["clients"]["standings"]
    with pytest.raises(ValueError, match=r"state: expected the standings \(3\) of 1 clients"):
        qr.Queen.from_state(setting[0], state)


def test_where_there_is_no_gate_nobody_has_fired(setting, queen, images):
    queen(images[:20], client="a")
    state = queen.state_dict()
    state["clients"]["standings"] = torch.tensor([[0, 20, 3]])
    with pytest.raises(ValueError, match="state: expected standings that this gate"):
        qr.Queen.from_state(setting[0], state)
