"""QUEEN: the whole defence, fitted to a victim and put in front of it.

x -> phi(x) -> label k, softmax y           the victim
        |----> z = m(phi(x))                the 2-D map
               ledger of the client         inside?  novel?  CQS_k above the threshold?
                 yes, all three:  reversed answer from y and the shadows' p
                 else:            perturbed answer, the label kept
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from queen_ref.checks import check_images, check_probabilities
from queen_ref.queen.config import QueenConfig
from queen_ref.queen.fitting import Parts, prepare
from queen_ref.queen.perturbation import is_affine, walk_logits
from queen_ref.queen.sensitivity import SensitivityLedger, Verdict
from queen_ref.queen.unlearning import nearest_in_angle, reverse_gradient

# Settings that a fitted defence can change, for they are read at query time.
SETTABLE = (
    "spacing",
    "threshold",
    "alpha",
    "beta",
    "units",
    "ledgers",
    "shadows_per_query",
    "shadow_mean",
    "method",
    "walk_units",
    "others",
)


@dataclass(frozen=True)
class Query:
    """A batch as QUEEN sees it: features (B, D), logits (B, K), labels (B,), points (B, 2)."""

    features: Tensor
    logits: Tensor
    labels: Tensor
    points: Tensor


@dataclass
class Client:
    """One client's ledger and counters."""

    ledger: SensitivityLedger
    counts: dict[str, int] = field(
        default_factory=lambda: dict(queries=0, inside=0, recorded=0, reversed=0)
    )


class Queen:
    """A victim defended by QUEEN: images in, probabilities out, one memory per client.

    Make one with `Queen.fit`. The victim needs `.features(x) -> (B, D)` and
    `.head(f) -> (B, K)` logits, and should be in eval mode.

    >>> queen = Queen.fit(victim, train_images, train_labels, seed=0)
    >>> probs = queen(images, client="alice")           # (B, C, H, W) -> (B, K)
    >>> queen.report(client="alice")
    {'queries': 200, 'inside': ..., 'recorded': ..., 'reversed': ...}
    """

    # What `queen_ref.defenses.Defense` asks of every defence.
    l1_bound = None
    keeps_label = False  # a reversed answer has another
    stateful = True

    def __init__(self, victim, config: QueenConfig, seed: int, parts: Parts):
        self.victim, self.config, self.seed, self.parts = victim, config, seed, parts
        self.shape, self.centroids = parts.shape, parts.centroids
        self.feature_map, self.clusters = parts.feature_map, parts.clusters
        self.shadows = parts.shadows
        self.clients: dict[str, Client] = {}
        with torch.no_grad():
            affine = is_affine(victim.head, self.centroids)
            self.centroid_logits = victim.head(self.centroids) if affine else None

    @classmethod
    def fit(
        cls,
        victim,
        images: Tensor,
        labels: Tensor,
        config: QueenConfig | None = None,
        seed: int = 0,
    ) -> "Queen":
        """Prepare the defence from the victim's training set: map, clusters, shadows.

        Arguments: `images` (N, C, H, W) in the victim's dtype; `labels` (N,) with at least one
        sample of every class. Errors: `ValueError` for anything that does not fit.
        """
        config = config or QueenConfig()
        return cls(victim, config, seed, prepare(victim, images, labels, config, seed))

    @torch.no_grad()
    def __call__(self, images: Tensor, client: str = "default") -> Tensor:
        """Answer a batch (B, C, H, W) from one client, in the order of arrival: (B, K).

        Errors: `ValueError` for images unlike those of `fit`; then nothing is counted.
        """
        return self._serve(images, self.look(images), client)

    @torch.no_grad()
    def simulate(self, images: Tensor, probs: Tensor) -> Tensor:
        """The answers (B, K) if the victim's softmax on `images` were `probs` (B, K).

        What an adaptive thief runs, on a `fresh()` copy: features and map points are those of
        the images, label and logits those of `probs`. It counts as queries of "default".
        """
        query = self.look(images)
        check_probabilities("probs", probs)
        if probs.shape != query.logits.shape:
            raise ValueError(
                f"probs: expected {tuple(query.logits.shape)}, got {tuple(probs.shape)}"
            )
        logits = probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
        assumed = replace(query, logits=logits, labels=probs.argmax(1))
        return self._serve(images, assumed, "default")

    def fresh(self) -> "Queen":
        """The same fitted parts and settings, with no clients yet."""
        return self.with_settings()

    @property
    def name(self) -> str:
        return "queen" if self.config.method == "cosine" else "queen-exact"

    def _serve(self, images: Tensor, query: Query, client: str) -> Tensor:
        known = self._client(client)
        before = known.ledger.snapshot()
        try:
            verdict = known.ledger.observe(query.points, query.labels)
            answers = self._answer(images, query, verdict, client)
        except BaseException:
            known.ledger.restore(before)  # whoever got no answer has not asked
            raise
        self.clients[client] = known
        for name, count in (
            ("queries", len(images)),
            ("inside", int(verdict.inside.sum())),
            ("recorded", int(verdict.recorded.sum())),
            ("reversed", int(verdict.reverse.sum())),
        ):
            known.counts[name] += count
        return answers

    @torch.no_grad()
    def look(self, images: Tensor) -> Query:
        """What the defence sees of a batch (B, C, H, W), without remembering it."""
        check_images(images, self.shape, self.centroids.dtype, self.centroids.device)
        features = self.victim.features(images)
        logits = self.victim.head(features)
        return Query(features, logits, logits.argmax(1), self.feature_map(features))

    def report(self, client: str = "default") -> dict[str, int]:
        """Counts of one client so far: queries, inside, recorded, reversed."""
        known = self.clients.get(client)
        return dict(known.counts) if known else Client(None).counts

    def ledger(self, client: str = "default") -> SensitivityLedger:
        """The client's ledger; an empty one for a client who has not asked yet."""
        return self._client(client).ledger

    def reset(self, client: str | None = None) -> None:
        """Forget one client, or all of them."""
        if client is None:
            self.clients.clear()
        else:
            self.clients.pop(client, None)

    def with_settings(self, **changes) -> "Queen":
        """The same fitted parts under other settings, and with no clients yet.

        Errors: `ValueError` for a setting that is baked into the map or the shadows.

        >>> strict = queen.with_settings(threshold=0.02, method="exact")
        """
        baked = sorted(set(changes) - set(SETTABLE))
        if baked:
            raise ValueError(f"settings: expected some of {SETTABLE}, got {baked}; fit anew")
        return Queen(self.victim, replace(self.config, **changes), self.seed, self.parts)

    def _client(self, name: str) -> Client:
        if not isinstance(name, str):
            raise ValueError(f"client: expected a name (str), got {name!r}")
        if name in self.clients:
            return self.clients[name]
        if self.config.ledgers == "shared" and self.clients:
            return Client(next(iter(self.clients.values())).ledger)
        return Client(self.new_ledger())

    def new_ledger(self) -> SensitivityLedger:
        """An empty ledger over this victim's clusters."""
        c = self.config
        return SensitivityLedger(
            self.clusters.centers,
            self.clusters.radii,
            spacing=c.spacing,
            threshold=c.threshold,
            alpha=c.alpha,
            beta=c.beta,
            units=c.units,
        )

    def _answer(self, images: Tensor, query: Query, verdict: Verdict, client: str) -> Tensor:
        answers = query.logits.softmax(1)
        rest, turn = ~verdict.reverse, verdict.reverse
        if self.config.others == "perturbed" and bool(rest.any()):
            logits, _ = walk_logits(
                query.features[rest],
                query.logits[rest],
                self.centroids,
                self.victim.head,
                self.centroid_logits,
                self.config.walk_units,
            )
            answers[rest] = logits.softmax(1)
        if bool(turn.any()):
            answers[turn] = self.reverse(images[turn], answers[turn], client)
        return answers

    @torch.no_grad()
    def reverse(self, images: Tensor, probs: Tensor, client: str = "default") -> Tensor:
        """The reversed answers for images (B, C, H, W) with victim softmax (B, K)."""
        chosen = self.shadows.choose(images, self.config.shadows_per_query, self.seed, client)
        if self.config.shadow_mean == "logits":  # the released code: 2 * logits - softmax
            mean_logits = self.shadows(images, chosen, mean_of=lambda logits: logits)
            return nearest_in_angle(2 * mean_logits - probs)
        return reverse_gradient(probs, self.shadows(images, chosen), self.config.method)

    def state_dict(self) -> dict:
        """Everything but the victim: plain numbers and CPU tensors, safe to save."""
        from queen_ref.queen.saving import queen_state

        return queen_state(self)

    def load_state_dict(self, state: dict) -> None:
        """Become the saved defence, its clients included; on a `ValueError` nothing changes."""
        from queen_ref.queen.saving import queen_from_state

        self.__dict__.update(queen_from_state(self.victim, state).__dict__)

    def save(self, path: str | Path) -> None:
        """Write the state to a file, whole or not at all."""
        from queen_ref.queen.saving import save

        save(self.state_dict(), path)

    @classmethod
    def load(cls, victim, path: str | Path) -> "Queen":
        """A defence from a file, for the victim it was fitted to. Nothing is unpickled.

        >>> queen.save("queen.pt")
        >>> queen = Queen.load(victim, "queen.pt")
        """
        from queen_ref.queen.saving import load, queen_from_state

        return queen_from_state(victim, load(path))

    def __repr__(self) -> str:
        return (
            f"Queen(K={len(self.centroids)}, D={self.centroids.shape[1]}, "
            f"{len(self.shadows)} shadows, {len(self.clients)} clients, {self.config})"
        )
