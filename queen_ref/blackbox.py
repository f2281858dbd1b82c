"""The API a thief sees: images in, probabilities out, every query counted.

Between client and model stands one wire, and it is this one. It knows the client's name, the
budget and, if asked, everything that was said.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from queen_ref.checks import check_batch, check_images, check_number
from queen_ref.defenses.base import Defense
from queen_ref.threads import Lock


class BudgetExceeded(RuntimeError):
    """The batch would go past the budget. Nothing of it was served or counted."""


class BlackBox:
    """A counted, budgeted query interface in front of any `images -> probabilities`.

    Arguments: `model`, a defended or undefended victim; `budget`, the number of images that
    will ever be answered (`None`: no limit); `client`, the name under which a model with a memory
    remembers them; `record`, whether `exchanges` keeps what was asked and answered.
    `queries` counts the images answered so far, `accounts` holds the names they were asked under.
    Threads may ask at once: what is being answered is set aside from the budget meanwhile.
    Errors: `BudgetExceeded` when a batch would not fit; `ValueError` for bad images; whatever
    `model` raises. None of it is counted.

    >>> api = BlackBox(qr.NoDefense(victim), budget=5000)
    >>> probs = api(images)             # (B, C, H, W) -> (B, K); api.queries grew by B
    """

    def __init__(
        self,
        model: Callable[..., Tensor],
        budget: int | None = None,
        client: str = "default",
        record: bool = False,
    ):
        if not callable(model):
            raise ValueError(f"model: expected a callable, got {type(model).__name__}")
        if budget is not None:
            check_number("budget", budget, low=0, integer=True)
        if not isinstance(client, str):
            raise ValueError(f"client: expected a name (str), got {client!r}")
        self.model, self.budget, self.client = model, budget, client
        self.queries = 0
        self.accounts: dict[str, int] = {}  # images answered, by name
        self._open = 0  # images that other threads are being answered just now
        self._lock = Lock()
        self._named = takes_client(model)
        self._kept: list[tuple[Tensor, Tensor]] | None = [] if record else None

    @property
    def remaining(self) -> int | None:
        """Images that may still be asked; `None` without a budget."""
        with self._lock:
            return None if self.budget is None else self.budget - self.queries - self._open

    def __call__(self, images: Tensor, client: str | None = None) -> Tensor:
        """Answer a batch (B, C, H, W) with probabilities (B, K), or nothing at all.

        Arguments: `client`, another name than the box's own: a second account of one thief, who
        pays for all of them.
        """
        name = self.client if client is None else client
        if not isinstance(name, str):
            raise ValueError(f"client: expected a name (str), got {name!r}")
        # A defence looks at every pixel itself: once is enough.
        (check_batch if isinstance(self.model, Defense) else check_images)(images)
        count = len(images)
        with self._lock:
            left = self.remaining
            if left is not None and count > left:
                raise BudgetExceeded(f"{count} queries asked, {left} of {self.budget} left")
            self._open += count
        try:
            answers = self.model(images, client=name) if self._named else self.model(images)
        except BaseException:
            with self._lock:
                self._open -= count
            raise
        with self._lock:
            self._open -= count
            self.queries += count  # only what was answered counts
            self.accounts[name] = self.accounts.get(name, 0) + count
            if self._kept is not None:
                self._kept.append((images, answers))
        return answers

    def exchanges(self) -> Iterator[tuple[Tensor, Tensor]]:
        """What was said, batch by batch: images (B, C, H, W) and answers (B, K).

        Errors: `ValueError` for a box that keeps no record.

        >>> api = BlackBox(qr.NoDefense(victim), record=True)
        >>> probs, [(sent, answered)] = api(images), api.exchanges()
        """
        if self._kept is None:
            raise ValueError("exchanges: expected a BlackBox with record=True, this one kept none")
        return iter(tuple(self._kept))

    def __getstate__(self) -> dict[str, Any]:
        """A copy, also one in another process, has been answered what this one has by now."""
        with self._lock:
            kept = None if self._kept is None else list(self._kept)
            return {**self.__dict__, "_open": 0, "_kept": kept, "accounts": dict(self.accounts)}

    def __repr__(self) -> str:
        limit = "no limit" if self.budget is None else f"of {self.budget}"
        return f"BlackBox({self.model!r}, {self.queries} queries, {limit})"


def takes_client(model: Callable[..., Tensor]) -> bool:
    """Whether a model has an argument called `client`, as defences do.

    >>> takes_client(qr.NoDefense(victim)), takes_client(victim)
    (True, False)
    """
    try:
        return "client" in inspect.signature(model).parameters
    except (TypeError, ValueError):  # some callables written in C have no signature
        return False
