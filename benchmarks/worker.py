"""A worker: takes what comes from outside, and asks the one process that remembers.

It holds no network, no ledger and no budget, and imports no torch.
"""

from multiprocessing.managers import BaseManager, BaseProxy
from typing import Any

import numpy as np


class Refused(Exception):
    """The client's budget is used up. Nothing of the batch was served or counted."""


class Wire(BaseManager):
    """The way to the keeper."""


Wire.register("keeper")


def connect(address: str, key: bytes) -> Any:
    """The keeper of `benchmarks/keeper.py`. Its methods run over there, and errors come back.

    Connect in each worker after its start: a connection is not shared. When the keeper dies,
    `ask` raises `EOFError`, `ConnectionError` or, once it is back, `RemoteError`; connect again.
    """
    BaseProxy._address_to_local.pop(address, None)  # type: ignore[attr-defined]  # a dead one's
    wire = Wire(address, authkey=key)
    wire.connect()
    return wire.keeper()  # type: ignore[attr-defined]


def ask_all(
    address: str, key: bytes, client: str, images: np.ndarray
) -> tuple[list[np.ndarray], list[str]]:
    """A worker's day: ask for one image after another. Returns the answers and the refusals."""
    keeper, answers, refusals = connect(address, key), [], []
    for image in images:
        try:
            answers.append(keeper.ask(client, image[None]))
        except Refused as error:
            refusals.append(str(error))
    return answers, refusals
