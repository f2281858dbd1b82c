"""QUEEN: the whole defence, fitted to a victim and put in front of it.

The way of a query:

    x -> phi(x) -> label k, softmax y           the victim
            |----> z = m(phi(x))                the 2-D map
                   ledger of the client         inside?  novel?  CQS_k above the threshold?
                     yes, all three:  reversed answer from y and the shadows' p
                     else:            perturbed answer, the label kept

Who is reversed where there is a gate (ours) stands in `queen_ref.queen.accusing`, what is said
then in `queen_ref.queen.answering`, and how threads take turns in `queen_ref.queen.responding`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from queen_ref.checks import check_images, check_number, check_probabilities
from queen_ref.defenses.base import Defense
from queen_ref.models import Victim
from queen_ref.modes import evaluating
from queen_ref.queen.accusing import Accusing
from queen_ref.queen.answering import Answering
from queen_ref.queen.clients import Clients
from queen_ref.queen.config import HIDDEN, QueenConfig, check_settable
from queen_ref.queen.fitting import Parts, prepare
from queen_ref.queen.gate import Gate
from queen_ref.queen.hidden import check_key
from queen_ref.queen.perturbation import is_affine
from queen_ref.queen.query import Query
from queen_ref.queen.remembering import Remembering
from queen_ref.queen.responding import respond
from queen_ref.queen.saved_clients import bound_from, clients_from
from queen_ref.queen.saving import fitted_from, load, queen_state, save


class Queen(Remembering, Defense):
    """A victim defended by QUEEN: images in, probabilities out, one memory per client.

    Make one with `Queen.fit`. The victim needs `.features(x) -> (B, D)` and
    `.head(f) -> (B, K)` logits. Every answer is given in eval mode; the victim's own is put back.

    Threads may ask at once, also for one client: the answers are those of one thread that asks
    batch after batch. With `max_clients` the least recently seen client beyond it is forgotten,
    and is a stranger when it comes back, an accused one too; `report` counts them as "forgotten".

    >>> queen = Queen.fit(victim, train_images, train_labels, seed=0)
    >>> probs = queen(images, client="alice")           # (B, C, H, W) -> (B, K)
    >>> queen.report(client="alice")
    {'queries': 200, 'inside': ..., 'recorded': ..., 'reversed': ...}
    """

    # No bound on L1, and a reversed answer has another label: as `Defense` says by default.
    stateful = True
    copy_flags: tuple[str, ...] = ("his copy holds the defender's own map and shadows",)
    asks_victim = ("features", "head")
    victim: Victim

    def __init__(
        self,
        victim: Victim,
        config: QueenConfig,
        seed: int,
        parts: Parts,
        max_clients: int | None = None,
    ):
        super().__init__(victim)
        self.name = "queen" if config.answer == "cosine" else f"queen-{config.answer}"
        if config.answer in HIDDEN:
            self.copy_flags = (*self.copy_flags, "his copy holds the defender's own key")
        self.config, self.seed, self.parts = config, seed, parts
        self.shape, self.centroids = parts.shape, parts.centroids
        self.feature_map, self.clusters = parts.feature_map, parts.clusters
        self.shadows = parts.shadows
        blank = parts.blank_ledger(config)
        self._clients = Clients(blank, config.ledgers == "shared", max_clients)
        with torch.no_grad(), evaluating(victim):
            affine = is_affine(victim.head, self.centroids)
            self.centroid_logits = victim.head(self.centroids) if affine else None
        self._answering = Answering(victim, config, seed, parts, self.centroid_logits)
        self._accusing = Accusing(parts.drift(config), config.gate_reverses)

    @classmethod
    def fit(
        cls,
        victim: Victim,
        images: Tensor,
        labels: Tensor,
        config: QueenConfig | None = None,
        seed: int = 0,
        max_clients: int | None = None,
        held_out: Tensor | None = None,
        key: bytes | None = None,
    ) -> "Queen":
        """Prepare the defence from the victim's training set: map, clusters, shadows.

        Arguments: `images` (N, C, H, W) in the victim's dtype; `labels` (N,) with at least one
        sample of every class; `max_clients`, how many are remembered, `None`: all; `held_out`
        (M, C, H, W), images of honest clients that the victim has not seen, for a gate; `key`, 16
        to 64 secret bytes for hidden answers, made of the seed by default, so that an experiment
        can be repeated. Who deploys takes `secrets.token_bytes(16)`.
        Errors: `ValueError` for anything that does not fit.
        """
        config = config or QueenConfig()
        if max_clients is not None:
            check_number("max_clients", max_clients, low=1, integer=True)
        parts = prepare(victim, images, labels, config, seed, held_out, key)
        return cls(victim, config, int(seed), parts, max_clients)

    def check(self, images: Tensor) -> None:
        """Demand images like those of `fit`: their shape, dtype and device."""
        check_images(images, self.shape, self.centroids.dtype, self.centroids.device)

    def serve(self, images: Tensor, client: str) -> Tensor:
        """`__call__` behind its door: answers (B, K) for images (B, C, H, W), remembered."""
        return self._respond(images, self._look(images), client)

    @torch.no_grad()
    def simulate(self, images: Tensor, probs: Tensor) -> Tensor:
        """The answers (B, K) if the victim's softmax on `images` were `probs` (B, K).

        What an adaptive thief runs, on a `fresh()` copy: features and map points are those of
        the images, label and logits those of `probs`. It counts as queries of "default".
        """
        self.check(images)  # other defences hardly look at them
        return super().simulate(images, probs)

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        """What `simulate` does behind its door."""
        if probs.shape[1] != len(self.centroids):
            raise ValueError(f"probs: expected {len(self.centroids)} classes, got {probs.shape[1]}")
        assumed = self._look(images).assuming(probs.to(self.centroids.dtype))
        return self._respond(images, assumed, "default")

    def fresh(self) -> "Queen":
        """The same fitted parts and settings, with no clients yet."""
        return self.with_settings()

    @torch.no_grad()
    def look(self, images: Tensor) -> Query:
        """What the defence sees of a batch (B, C, H, W), without remembering it."""
        self.check(images)
        with evaluating(*self._models()):
            return self._look(images)

    def _models(self) -> list[object]:
        """What runs in every answer. The shadows, which rarely run, see to themselves."""
        return [self.victim, self.feature_map]

    def _look(self, images: Tensor) -> Query:
        return Query.of(images, self.victim, self.feature_map, self.centroids.dtype)

    def _respond(self, images: Tensor, query: Query, client: str) -> Tensor:
        return respond(self._clients, self._accusing, self._answering, images, query, client)

    def with_settings(self, **changes: Any) -> "Queen":
        """The same fitted parts under other settings, and with no clients yet.

        `max_clients` and `key` can be changed, too: without the key a copy is what a thief has who
        knows all settings, and the defence's secret not.
        Errors: `ValueError` for a setting that is baked into the map or the shadows.

        >>> strict = queen.with_settings(threshold=0.02, answer="exact")
        """
        bound = changes.pop("max_clients", self.max_clients)
        key = check_key(changes.pop("key", self.parts.key))
        check_settable(changes)
        parts = self.parts if key == self.parts.key else replace(self.parts, key=key)
        return Queen(self.victim, replace(self.config, **changes), self.seed, parts, bound)

    @property
    def gate(self) -> Gate | None:
        """The test that every client stands before, with its p_0 and p_1; `None` without one."""
        return self._accusing.gate

    @torch.no_grad()
    def flagged_streams(
        self, images: Tensor, count: int = 1000, length: int = 1000, seed: int = 0
    ) -> int:
        """How many of `count` clients the gate accuses who each ask `length` of these images.

        Arguments: `images` (N, C, H, W), which they draw from with repetitions.

        >>> queen.flagged_streams(test_images, count=100, length=50)      # it has no gate
        0
        """
        query = self.look(images)
        inside = self.new_ledger().judge(query.points, query.labels).inside
        return self._accusing.accused(query, inside, count, length, seed)

    @torch.no_grad()
    def reverse(self, images: Tensor, probs: Tensor, client: str = "default") -> Tensor:
        """The reversed answers for images (B, C, H, W) with victim softmax (B, K).

        A hidden one has the numbers of `probs`, and label and logits are the victim's.
        Errors: `ValueError` for images or probabilities that do not fit.

        >>> turned = queen.reverse(queries, answers)
        """
        query = self.look(images)
        check_probabilities("probs", probs)
        if probs.shape != query.logits.shape:
            wanted, got = tuple(query.logits.shape), tuple(probs.shape)
            raise ValueError(f"probs: expected {wanted}, one row per image, got {got}")
        with evaluating(*self._models()):  # a bent head is asked for hidden answers
            return self._answering.reverse(images, probs, query, client)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the victim: plain numbers and CPU tensors, safe to save.

        Others may ask meanwhile: it holds what was answered when it began.
        """
        clients = self._clients.copy()
        return queen_state(self.victim, self.config, self.seed, self.parts, clients)

    @classmethod
    def from_state(cls, victim: Victim, state: Any) -> "Queen":
        """The saved defence with its clients, for the victim it was fitted to.

        Errors: `ValueError` for a state that is not one of ours, or another victim's.

        >>> queen = Queen.from_state(victim, queen.state_dict())
        """
        fitted, (bound, forgotten) = fitted_from(victim, state), bound_from(state)
        queen = cls(victim, *fitted, bound)
        shared = queen.config.ledgers == "shared"
        known = clients_from(state["clients"], queen.new_ledger(), shared, queen.gate)
        queen.clients.update(known)
        queen._clients.forgotten = forgotten
        return queen

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the saved defence, its clients included; on a `ValueError` nothing changes."""
        saved = self.from_state(self.victim, state)
        with self._clients.lock:
            clients = self._clients.become(saved._clients)
            self.__dict__.update({**saved.__dict__, "_clients": clients})

    def save(self, path: str | Path) -> None:
        """Write the state to a file, whole or not at all."""
        save(self.state_dict(), path)

    @classmethod
    def load(cls, victim: Victim, path: str | Path) -> "Queen":
        """A defence from a file, for the victim it was fitted to. Nothing is unpickled.

        >>> queen.save("queen.pt")
        >>> queen = Queen.load(victim, "queen.pt")
        """
        return cls.from_state(victim, load(path))

    def __repr__(self) -> str:
        return (
            f"Queen(K={len(self.centroids)}, D={self.centroids.shape[1]}, "
            f"{len(self.shadows)} shadows, {len(self.clients)} clients, {self.config})"
        )
