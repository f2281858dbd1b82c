"""ModelGuard-S (Tang et al., 2024): answer only from a short list of posteriors.

Every predicted class k has an ordered codebook, empty at first. A query is answered by the
first entry c of its class's codebook with

    || c - y ||_1 <= epsilon ;

where there is none, y itself is appended and answered. So many queries share one answer, and
what tells them apart is lost. The order of the queries decides; all clients share the books.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_number
from queen_ref.defenses.base import Defense
from queen_ref.models import Model
from queen_ref.sequential import first_come
from queen_ref.threads import Lock

CHUNK = 512  # queries looked up at once: the comparison within a batch is quadratic in it


class ModelGuardS(Defense):
    """The first entry of the class's codebook within reach.

    Arguments: `epsilon`, the L1 budget.
    A batch is answered exactly as its queries would be one by one, and whole before that of
    another thread. Entries of one class lie
    farther than epsilon apart, so the simplex has room for a bounded number of them.

    >>> defense = ModelGuardS(victim, epsilon=1.0)
    >>> probs = defense(images)                 # defense.report() -> {'codewords': 12}
    """

    name = "modelguard-s"
    keeps_label = True  # an entry was the posterior of a query of the same class
    stateful = True

    def __init__(self, victim: Model, epsilon: float = 1.0):
        super().__init__(victim)
        check_number("epsilon", epsilon, low=0, above=True)
        self.l1_bound = self.epsilon = epsilon
        self.codebook: Tensor | None = None  # (M, K), in the order of arrival; never changed
        self._lock = Lock()

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        with self._lock:
            book, answers = self.codebook, []
            if book is not None and book.shape[1] != probs.shape[1]:
                raise ValueError(f"probs: expected {book.shape[1]} classes, got {probs.shape[1]}")
            for part in probs.split(CHUNK):
                answered, book = self._look_up(part, book)
                answers.append(answered)
            self.codebook = book  # at the end: a batch that fails leaves the old one
        return torch.cat(answers)

    def _look_up(self, probs: Tensor, book: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The answers (B, K) to `probs` (B, K), and the codebook (M, K) after them."""
        answers = probs.clone()
        known = torch.zeros(len(probs), dtype=torch.bool, device=probs.device)
        if book is not None:
            book = book.to(probs)  # a simulation may come in another dtype
            close = self._close(probs, book)  # (B, M)
            known, first = close.any(1), close.int().argmax(1)
            answers[known] = book[first[known]]

        rows = (~known).nonzero().flatten()
        if len(rows) == 0:
            return answers, book
        new = probs[rows]
        close = self._close(new, new).tril(-1)  # to an earlier one of this batch
        appended = first_come(close, torch.ones_like(rows, dtype=torch.bool))
        # An appended query is its own first entry.
        choice = (close & appended | torch.diag(appended)).int().argmax(1)
        answers[rows] = new[choice]
        entries = new[appended]
        return answers, entries if book is None else torch.cat([book, entries])

    def fresh(self) -> "ModelGuardS":
        return ModelGuardS(self.victim, self.epsilon)

    def held(self) -> "ModelGuardS":
        """A copy with the codebook as it stands: what the literature's attacker holds.

        >>> copy = ModelGuardS(victim).held()       # what it is asked goes into its own codebook
        """
        copy = self.fresh()
        copy.codebook = self.codebook  # a tensor that nobody changes: a longer one replaces it
        return copy

    def report(self, client: str = "default") -> dict[str, int]:
        book = self.codebook
        return {"codewords": 0 if book is None else len(book)}

    def _close(self, probs: Tensor, entries: Tensor) -> Tensor:
        """Same label and within epsilon: (B, K), (M, K) -> bool (B, M)."""
        same = probs.argmax(1)[:, None] == entries.argmax(1)
        return same & (torch.cdist(probs, entries, p=1) <= self.epsilon)

    def __repr__(self) -> str:
        return f"ModelGuardS(epsilon={self.epsilon}, {self.report()['codewords']} codewords)"
