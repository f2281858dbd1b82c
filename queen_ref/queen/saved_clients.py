"""The clients in the state of a saved QUEEN, and back, every entry checked.

All clients together are a few tensors, for there may be a hundred thousand. Version 2 of the state
had a ledger and counts for each of them, version 3 no standings before a gate: both are read, too,
and no longer written.
"""

from typing import Any

import torch
from torch import Tensor

from queen_ref.checks import check_number
from queen_ref.queen.client import COUNTS, Client
from queen_ref.queen.clients import Clients
from queen_ref.queen.gate import Gate, Standing
from queen_ref.queen.history import pack, unpack
from queen_ref.queen.sensitivity import SensitivityLedger

ENTRIES = {"names", "counts", "histories", "standings"}


def clients_state(clients: Clients) -> dict[str, Any]:
    """The entries of a state that are about clients. Nobody else may use them meanwhile.

    >>> clients_state(Clients(queen.new_ledger(), most=1000))["max_clients"]
    1000
    """
    known = clients.known
    ledgers = [client.ledger for client in known.values()]
    if clients.shared:
        del ledgers[1:]  # one for all
    histories = [ledger.snapshot() for ledger in ledgers]
    counts = [[getattr(client, name) for name in COUNTS] for client in known.values()]
    standings = [list(client.standing) for client in known.values()]
    return {
        "max_clients": clients.most,
        "forgotten": clients.forgotten,
        "clients": {
            "names": list(known),
            "counts": torch.tensor(counts, dtype=torch.long).reshape(-1, len(COUNTS)),
            "histories": pack(histories, ledgers[0].regions) if ledgers else {},
            "standings": torch.tensor(standings, dtype=torch.long).reshape(-1, 3),
        },
    }


def bound_from(state: dict[str, Any]) -> tuple[int | None, int]:
    """How many clients a state's defence remembers at most, and how many it has forgotten.

    Errors: `ValueError` for anything but such numbers.

    >>> bound_from(queen.state_dict())
    (None, 0)
    """
    bound, forgotten = state.get("max_clients"), state.get("forgotten", 0)
    if bound is not None:
        check_number("state: max_clients", bound, low=1, integer=True)
    check_number("state: forgotten", forgotten, low=0, integer=True)
    return bound, forgotten


def clients_from(
    states: Any, blank: SensitivityLedger, shared: bool, gate: Gate | None = None
) -> dict[str, Client]:
    """The clients of a state by name.

    Arguments: `states`, the state's entry "clients"; `blank`, an empty ledger; `shared`,
    whether all have one ledger; `gate`, the one they stand before, if there is one.
    Errors: `ValueError` for an entry that does not fit.

    >>> clients = clients_from(queen.state_dict()["clients"], queen.new_ledger(), shared=False)
    """
    if not isinstance(states, dict):
        raise ValueError("state: expected the clients' ledgers by name")
    packed = {*states, "standings"} == ENTRIES
    if not packed or not isinstance(states["names"], list):
        return _old_clients(states, blank, shared)
    names, counts, histories = states["names"], states["counts"], states["histories"]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("state: expected a name for every client, each once")
    whole = isinstance(counts, Tensor) and counts.dtype == torch.long
    if not whole or counts.shape != (len(names), len(COUNTS)) or bool((counts < 0).any()):
        raise ValueError(f"state: expected the counts {COUNTS} of {len(names)} clients")
    if not names:
        return {}
    ledgers = [blank.fork(history) for history in unpack(histories, blank.regions)]
    if len(ledgers) != (1 if shared else len(names)):
        raise ValueError(f"state: expected the ledgers of {len(names)} clients, got {len(ledgers)}")
    ledgers = ledgers * len(names) if shared else ledgers
    standings = _standings(states.get("standings"), counts[:, 0], gate)
    rows = zip(names, ledgers, counts.tolist(), strict=True)
    clients = {name: Client(ledger, *row) for name, ledger, row in rows}
    for client, standing in zip(clients.values(), standings, strict=True):
        client.standing = standing
    return clients


def _standings(state: Any, queries: Tensor, gate: Gate | None) -> list[Standing]:
    """Those of clients with so many `queries` (n,), as `gate` can have left them."""
    if state is None and gate is None:  # of a state that knew no gate
        return [Standing()] * len(queries)
    whole = isinstance(state, Tensor) and state.dtype == torch.long
    if not whole or state.shape != (len(queries), 3):
        raise ValueError(f"state: expected the standings (3) of {len(queries)} clients")
    level, seen, fired = state.unbind(1)
    if gate is None:
        fits = (state == 0).all()
    else:
        over = (level >= gate.height) & (fired > 0) & (fired <= seen)
        below = (level >= gate.floor) & (level < gate.height) & (fired == 0)
        fits = ((over | below) & (seen == queries)).all()
    if not bool(fits):
        raise ValueError("state: expected standings that this gate can have left")
    return [Standing(*row) for row in state.tolist()]


def _old_clients(
    states: dict[Any, Any], blank: SensitivityLedger, shared: bool
) -> dict[str, Client]:
    clients = {name: _old_client(name, state, blank.fork()) for name, state in states.items()}
    if shared:
        for client in clients.values():
            client.ledger = next(iter(clients.values())).ledger
    return clients


def _old_client(name: Any, state: Any, ledger: SensitivityLedger) -> Client:
    whole = isinstance(state, dict) and set(state) == {"ledger", "counts"}
    if not isinstance(name, str) or not whole:
        raise ValueError("state: expected a ledger and counts for every client's name")
    counts = state["counts"]
    fits = isinstance(counts, dict) and set(counts) == set(COUNTS)
    if not fits or not all(type(count) is int and count >= 0 for count in counts.values()):
        raise ValueError(f"state: expected the counts {sorted(COUNTS)} of client {name!r}")
    ledger.load_state_dict(state["ledger"])
    return Client(ledger, **counts)
