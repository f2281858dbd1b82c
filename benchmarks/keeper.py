"""One memory for many workers: the process that holds the defence, its ledgers and the budgets.

A worker (`benchmarks/worker.py`) holds none of them. It has a connection to this process, where a
thread of its own answers it. So there is one process with threads again, and one memory. Python's
own `multiprocessing.managers` carries images there and answers back.
"""

import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.managers import BaseManager
from pathlib import Path

import numpy as np
import torch

import queen_ref as qr
from benchmarks.worker import Refused, connect
from queen_ref.threads import Lock


class Keeper:
    """What workers may ask for: `ask` and `report`.

    Arguments: `queen`, the defence; `budget`, the images that will ever be answered to one client;
    `path`, where it is saved after so many images (`after`) or `seconds`, whichever comes first.
    """

    def __init__(
        self,
        queen: qr.Queen,
        budget: int,
        path: str | Path | None = None,
        after: int = 1000,
        seconds: float = 60.0,
    ):
        self.queen, self.budget, self.path = queen, budget, path
        self.after, self.seconds = after, seconds
        self.boxes: dict[str, qr.BlackBox] = {}
        self.saver: Saver | None = None
        self.lock = Lock()  # around `boxes`

    def ask(self, client: str, images: np.ndarray) -> np.ndarray:
        """Answers (B, K) to images (B, C, H, W). Errors: `Refused` past the budget."""
        batch = torch.from_numpy(images).to(self.queen.centroids.device)
        try:
            answers = self._box(client)(batch)
        except qr.BudgetExceeded as error:
            # Of a kind that a worker knows without torch.
            raise Refused(str(error)) from None
        if self.saver:
            self.saver.answered(len(images))
        return answers.cpu().numpy()

    def report(self, client: str) -> dict[str, int]:
        """The counters of a client."""
        return self.queen.report(client)

    def _box(self, client: str) -> qr.BlackBox:
        with self.lock:
            if client not in self.boxes:
                box = qr.BlackBox(self.queen, self.budget, client)
                # A budget is not saved; QUEEN has counted what is used of it.
                box.queries = self.queen.report(client)["queries"]
                self.boxes[client] = box
            return self.boxes[client]


class Saver:
    """Calls `save` after so many images (`after`) or `seconds`, in one thread.

    Two threads that save could write the older state last.
    """

    def __init__(self, save: Callable[[], None], after: int, seconds: float):
        self.save, self.after, self.seconds = save, after, seconds
        self.unsaved, self.stopped = 0, False
        self.lock, self.due = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def answered(self, count: int) -> None:
        """Count images that were answered just now."""
        with self.lock:
            self.unsaved += count
            if self.unsaved >= self.after:
                self.due.set()

    def close(self) -> None:
        """End, and save once more."""
        self.stopped = True
        self.due.set()
        self.thread.join()
        self.save()

    def _run(self) -> None:
        failed = False
        while not self.stopped:
            self.due.wait(self.seconds)
            with self.lock:
                due, self.unsaved = self.unsaved > 0 or failed, 0
                self.due.clear()
            if due:
                try:
                    self.save()
                    failed = False
                except OSError as error:  # a full disk: the old file is whole, clients go on
                    print(f"not saved: {error}", file=sys.stderr)
                    failed = True


def serve(keeper: Keeper, address: str, key: bytes) -> None:
    """Answer workers at a socket (`address`) that know the `key`, until SIGTERM; then save.

    The key lets a worker run any code here: keep the socket in a folder of the service's own.
    Errors: `ValueError` where a keeper answers already, for two would be two memories.
    """

    class Door(BaseManager):
        pass

    Door.register("keeper", callable=lambda: keeper, exposed=("ask", "report"))
    try:
        connect(address, key)
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:  # a killed keeper leaves its socket behind
        Path(address).unlink()
    else:
        raise ValueError(f"address: expected one that is free, a keeper answers at {address}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = Door(address, authkey=key).get_server()
    if keeper.path is not None:
        save = partial(keeper.queen.save, keeper.path)
        keeper.saver = Saver(save, keeper.after, keeper.seconds)
    try:
        server.serve_forever()
    finally:
        if keeper.saver:
            keeper.saver.close()
