"""The clients of a saved QUEEN come back, those of the old format too."""

import pytest
import torch

import queen_ref as qr


def test_a_shared_ledger_stays_shared_after_loading(setting, queen, images):
    shared = queen.with_settings(ledgers="shared")
    shared(images, client="a")
    shared(images[:1], client="b")
    shared.load_state_dict(shared.state_dict())
    assert shared.ledger("a") is shared.ledger("b")


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
