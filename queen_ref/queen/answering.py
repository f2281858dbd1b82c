"""What QUEEN says once it is decided which answers are reversed.

An answer that is not reversed is perturbed, or the victim's own where the settings say "untouched".
A reversed one is made

    "cosine", "exact"   of the victim's y and the shadows' p   (`queen_ref.queen.unlearning`),
    "hidden", "swapped" of the answer that it replaces         (`queen_ref.queen.hidden`),
    "abstain"           of nothing: every class gets 1 / K.

"abstain" is the honest baseline: it takes from a thief as many labels, and tells no lie. He sees at
once which answers they are; with the others he has to find out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from queen_ref.defenses.chunks import chunks, joined
from queen_ref.models import Victim
from queen_ref.queen.config import HIDDEN, QueenConfig
from queen_ref.queen.fitting import Parts
from queen_ref.queen.hidden import dress, false_classes, sides_of, swap
from queen_ref.queen.perturbation import walk_logits
from queen_ref.queen.query import Query
from queen_ref.queen.unlearning import angular_projection, reversed_answer


@dataclass(frozen=True)
class Answering:
    """The answers of a QUEEN with these parts and settings.

    Arguments: `centroid_logits`, see `walk_logits`.

    >>> answering = Answering(victim, queen.config, queen.seed, queen.parts)
    >>> answering.carry_out(torch.zeros(200).bool(), images, query, client="a").shape
    torch.Size([200, 10])
    """

    victim: Victim
    config: QueenConfig
    seed: int
    parts: Parts
    centroid_logits: Tensor | None = None

    def carry_out(self, turn: Tensor, images: Tensor, query: Query, client: str) -> Tensor:
        """The answers (B, K) to a batch of which `turn` (B,) is reversed, a piece at a time."""
        pieces = (
            self._piece(turn[rows], images[rows], query.rows(rows), client)
            for rows in chunks(len(images))
        )
        return joined(pieces)

    def _piece(self, turn: Tensor, images: Tensor, query: Query, client: str) -> Tensor:
        answers = query.logits.softmax(1)
        # A hidden answer hides among the others only if it has come the same way.
        walk = torch.ones_like(turn) if self.config.answer in HIDDEN else ~turn
        if self.config.others == "perturbed" and bool(walk.any()):
            logits, _ = walk_logits(
                query.features[walk],
                query.logits[walk],
                self.parts.centroids,
                self.victim.head,
                self.centroid_logits,
                self.config.walk_units,
            )
            answers[walk] = logits.softmax(1)
        if bool(turn.any()):
            answers[turn] = self.reverse(images[turn], answers[turn], query.rows(turn), client)
        return answers

    def reverse(self, images: Tensor, probs: Tensor, query: Query, client: str) -> Tensor:
        """The reversed answers (B, K) in place of `probs` (B, K)."""
        if self.config.answer == "abstain":
            return torch.full_like(probs, 1 / probs.shape[1])
        if self.config.answer in HIDDEN:
            return self._hide(probs, query)
        shadows = self.parts.shadows
        chosen = shadows.choose(images, self.config.shadows_per_query, self.seed, client)
        if self.config.shadow_mean == "logits":  # the released code: 2 * logits - softmax
            mean_logits = shadows(images, chosen, mean_of=lambda logits: logits)
            return angular_projection(2 * mean_logits - probs)
        return reversed_answer(probs, shadows(images, chosen), self.config.answer)

    def _hide(self, probs: Tensor, query: Query) -> Tensor:
        clusters = self.parts.clusters
        sides = sides_of(self.config.beta * clusters.radii, self.config.region_side)
        others = false_classes(query.points, query.labels, clusters.centers, sides, self.parts.key)
        if self.config.answer == "swapped":
            return swap(probs, query.labels, others)
        class_logits = self.centroid_logits
        if class_logits is None:  # a head that is not affine
            class_logits = self.victim.head(self.parts.centroids).to(probs.dtype)
        return dress(probs, query.logits, query.labels, others, class_logits)
