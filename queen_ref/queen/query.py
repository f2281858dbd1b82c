"""A batch as QUEEN sees it: what the victim and its map make of the images."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from queen_ref.defenses.chunks import chunks, joined
from queen_ref.models import Victim


@dataclass(frozen=True)
class Query:
    """Features (B, D), logits (B, K), labels (B,) and map points (B, 2) of a batch.

    >>> query = queen.look(images)
    >>> query.rows(slice(0, 2)).points.shape
    torch.Size([2, 2])
    """

    features: Tensor
    logits: Tensor
    labels: Tensor
    points: Tensor

    @classmethod
    def of(
        cls,
        images: Tensor,
        victim: Victim,
        feature_map: Callable[[Tensor], Tensor],
        dtype: torch.dtype,
    ) -> "Query":
        """Look at images (B, C, H, W), a piece at a time.

        `dtype` is that of the fitted parts: a victim may compute in half precision inside.

        >>> Query.of(images, victim, queen.feature_map, torch.float32).labels.shape
        torch.Size([200])
        """
        seen = []
        for rows in chunks(len(images)):
            features = victim.features(images[rows]).to(dtype)
            logits = victim.head(features).to(dtype)
            seen.append((features, logits, logits.argmax(1), feature_map(features)))
        return cls(*map(joined, zip(*seen, strict=True)))

    def rows(self, rows: slice | Tensor) -> "Query":
        """A part of the batch: a slice of it, or those where bool (B,) says so."""
        return Query(*(getattr(self, f.name)[rows] for f in fields(self)))

    def assuming(self, probs: Tensor) -> "Query":
        """The same images, had the victim's softmax been `probs` (B, K).

        >>> query.assuming(query.logits.softmax(1)).labels.equal(query.labels)
        True
        """
        logits = probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
        return replace(self, logits=logits, labels=probs.argmax(1))
