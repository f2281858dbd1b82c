"""QUEEN: the whole defence, fitted to a victim and put in front of it.

The way of a query:

    x -> phi(x) -> label k, softmax y           the victim
            |----> z = m(phi(x))                the 2-D map
                   ledger of the client         inside?  novel?  CQS_k above the threshold?
                     yes, all three:  reversed answer from y and the shadows' p
                     else:            perturbed answer, the label kept

With a gate (ours, see `queen_ref.queen.gate`) the ledger counts and no longer accuses. Until the
gate has fired nothing is reversed, however much the client has covered: who asks like honest
clients is answered like them. Afterwards everything is, or, with gate_reverses="ledger", what the
ledger would have reversed without a gate.
"""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from queen_ref.checks import check_floats, check_images, check_number, check_probabilities
from queen_ref.defenses.base import Defense
from queen_ref.defenses.chunks import chunks, joined
from queen_ref.models import Victim
from queen_ref.modes import evaluating
from queen_ref.queen.answering import Answering
from queen_ref.queen.client import Client
from queen_ref.queen.clients import Clients
from queen_ref.queen.config import HIDDEN, SETTABLE, QueenConfig
from queen_ref.queen.fitting import Parts, prepare
from queen_ref.queen.gate import Gate, Standing
from queen_ref.queen.hidden import check_key
from queen_ref.queen.perturbation import is_affine
from queen_ref.queen.query import Query
from queen_ref.queen.saved_clients import bound_from, clients_from
from queen_ref.queen.saving import fitted_from, load, queen_state, save
from queen_ref.queen.sensitivity import SensitivityLedger, Verdict


class Queen(Defense):
    """A victim defended by QUEEN: images in, probabilities out, one memory per client.

    Make one with `Queen.fit`. The victim needs `.features(x) -> (B, D)` and
    `.head(f) -> (B, K)` logits. Every answer is given in eval mode; the victim's own is put back.

    Threads may ask at once, also for one client: the answers are those of one thread that asks
    batch after batch. With `max_clients` the least recently seen client beyond it is forgotten,
    and is a stranger when it comes back; `report` counts them as "forgotten".

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
        self._drift = None
        if config.gate is not None:
            if parts.held_out is None:
                raise ValueError("gate: expected a QUEEN that was fitted with held_out, got none")
            self._drift = parts.held_out.drift(config)

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
        probs = probs.to(self.centroids.dtype)
        logits = probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
        assumed = replace(self._look(images), logits=logits, labels=probs.argmax(1))
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
        """Judge on a copy of the ledger, answer, and keep both if nobody else came first.

        Whoever gets no answer has not asked: nothing is written before there is one. Models run
        outside of the lock. A history changes only when a point is recorded, and a region soon
        holds all it can: to judge again is rare, to answer again rarer.
        """
        check_floats("points", query.points)  # finite pixels can still overflow in a victim
        answers: Tensor | None = None
        turned: Tensor | None = None
        while True:
            ledger = self._clients.draft(client)
            before = ledger.snapshot()
            verdict = ledger.judge(query.points, query.labels)
            stood = self._clients.standing(client)
            turn, stands = self._accuse(verdict, query, stood)
            if answers is None or turned is None or not torch.equal(turned, turn):
                turned = turn
                parts = (
                    self._carry_out(turned[rows], images[rows], query.rows(rows), client)
                    for rows in chunks(len(images))
                )
                answers = joined(parts)
            counts = verdict.counts(turned)
            if self._clients.keep(client, before, ledger.snapshot(), counts, stood, stands):
                return answers

    def _accuse(
        self, verdict: Verdict, query: Query, stood: Standing
    ) -> tuple[Tensor, Standing | None]:
        """Which answers are reversed, bool (B,), and where the client stands then, with a gate."""
        if self._drift is None:
            return verdict.reverse, None
        as_usual = self._drift.as_usual(query, verdict.inside)
        alarms, stands = self._drift.gate.watch(stood, as_usual)
        return alarms if self.config.gate_reverses == "all" else alarms & verdict.reverse, stands

    @property
    def clients(self) -> OrderedDict[str, Client]:
        """The clients by name, the one seen last at the end."""
        return self._clients.known

    @property
    def max_clients(self) -> int | None:
        """How many clients are remembered; `None`: all."""
        return self._clients.most

    @property
    def forgotten(self) -> int:
        """How many clients have left for others."""
        return self._clients.forgotten

    def report(self, client: str = "default") -> dict[str, int]:
        """Counts of one client so far: queries, inside, recorded, reversed.

        With `max_clients` also how many clients were "forgotten" for it, whoever they were; and
        after the gate has accused the client, "fired", the number of the query that raised it.
        """
        return self._clients.report(client)

    def ledger(self, client: str = "default") -> SensitivityLedger:
        """The client's ledger; an empty one for a client who has not asked yet."""
        return self._clients.ledger(client)

    def new_ledger(self) -> SensitivityLedger:
        """An empty ledger over this victim's clusters."""
        return self._clients.blank.fork()

    def reset(self, client: str | None = None) -> None:
        """Forget one client, or all of them."""
        self._clients.reset(client)

    def with_settings(self, **changes: Any) -> "Queen":
        """The same fitted parts under other settings, and with no clients yet.

        `max_clients` and `key` can be changed, too: without the key a copy is what a thief has who
        knows all settings, and the defence's secret not.
        Errors: `ValueError` for a setting that is baked into the map or the shadows.

        >>> strict = queen.with_settings(threshold=0.02, answer="exact")
        """
        bound = changes.pop("max_clients", self.max_clients)
        key = check_key(changes.pop("key", self.parts.key))
        baked = sorted(set(changes) - {*SETTABLE, "method"})
        if baked:
            raise ValueError(f"settings: expected some of {SETTABLE}, got {baked}; fit anew")
        parts = self.parts if key == self.parts.key else replace(self.parts, key=key)
        return Queen(self.victim, replace(self.config, **changes), self.seed, parts, bound)

    @property
    def gate(self) -> Gate | None:
        """The test that every client stands before, with its p_0 and p_1; `None` without one."""
        return None if self._drift is None else self._drift.gate

    @torch.no_grad()
    def flagged_streams(
        self, images: Tensor, count: int = 1000, length: int = 1000, seed: int = 0
    ) -> int:
        """How many of `count` clients the gate accuses who each ask `length` of these images.

        Arguments: `images` (N, C, H, W), which they draw from with repetitions.

        >>> queen.flagged_streams(test_images, count=100, length=50)      # it has no gate
        0
        """
        if self._drift is None:
            return 0
        query = self.look(images)
        inside = self.new_ledger().judge(query.points, query.labels).inside
        return self._drift.gate.accused(
            self._drift.as_usual(query, inside).cpu(), count, length, seed
        )

    def _carry_out(self, turn: Tensor, images: Tensor, query: Query, client: str) -> Tensor:
        return self._answering.carry_out(turn, images, query, client)

    @torch.no_grad()
    def reverse(self, images: Tensor, probs: Tensor, client: str = "default") -> Tensor:
        """The reversed answers for images (B, C, H, W) with victim softmax (B, K).

        A hidden one has the numbers of `probs`, and label and logits are the victim's.

        >>> turned = queen.reverse(queries, answers)
        """
        query = self.look(images)
        check_probabilities("probs", probs)
        return self._answering.reverse(images, probs, query, client)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the victim: plain numbers and CPU tensors, safe to save.

        Others may ask meanwhile: it holds what was answered when it began.
        """
        clients = self._clients.copy()
        return queen_state(self.victim, self.config, self.seed, self.parts, clients)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, also one in another process, knows the clients as they are by now."""
        with self._clients.lock:
            return {**self.__dict__, "_clients": self._clients.copy()}

    @classmethod
    def from_state(cls, victim: Victim, state: Any) -> "Queen":
        """The saved defence with its clients, for the victim it was fitted to.

        Errors: `ValueError` for a state that is not one of ours, or another victim's.

        >>> queen = Queen.from_state(victim, queen.state_dict())
        """
        fitted, (bound, forgotten) = fitted_from(victim, state), bound_from(state)
        queen = cls(victim, *fitted, bound)
        shared = queen.config.ledgers == "shared"
        queen.clients.update(clients_from(state["clients"], queen.new_ledger(), shared))
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
