"""QUEEN's answers one query at a time, as the paper describes them: what a user would run
without `queen_ref`. The benchmark's reference, written plainly and not meant to be fast.

- the ledger: a list of points per class, every distance computed anew;
- the walk: one call of the head for every step of every query;
- the reversal: SLSQP from a random start, for every query.
"""

import math

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from queen_ref import Queen


class PerSampleQueen:
    """The same fitted parts as a `Queen`, asked query by query.

    >>> reference = PerSampleQueen(queen)
    >>> probs = reference(images)               # (B, C, H, W) -> (B, K)
    """

    def __init__(self, queen: Queen, seed: int = 0):
        self.queen, self.random = queen, np.random.default_rng(seed)
        ledger = queen.new_ledger()
        self.s, self.r = ledger.sensitive.tolist(), ledger.spacing.tolist()
        self.centers, self.threshold = ledger.centers.tolist(), ledger.threshold
        self.recorded: list[list[tuple[float, float]]] = [[] for _ in self.s]
        self.cqs = [0.0] * len(self.s)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        return torch.stack([self.answer(image[None]) for image in images])

    def answer(self, image: Tensor) -> Tensor:
        """One image (1, C, H, W) -> its answer (K,)."""
        queen = self.queen
        features = queen.victim.features(image)
        logits = queen.victim.head(features)
        k = int(logits.argmax())
        if self.is_reversed(queen.feature_map(features)[0].tolist(), k):
            chosen = self.random.choice(
                len(queen.shadows), queen.config.shadows_per_query, replace=False
            )
            shadows = [queen.shadows.models[i](image).softmax(1)[0] for i in chosen]
            target = 2 * torch.stack(shadows).mean(0) - logits.softmax(1)[0]
            return torch.from_numpy(self.solve(target.numpy())).to(logits.dtype)
        return self.walk(features, k)

    def is_reversed(self, z: list[float], k: int) -> bool:
        s, r = self.s[k], self.r[k]
        distance = math.dist(z, self.centers[k])
        if distance >= s or any(math.dist(z, point) <= r for point in self.recorded[k]):
            return False
        if self.cqs[k] > self.threshold:
            return True
        self.recorded[k].append(tuple(z))
        self.cqs[k] += (0.5 * math.erfc((distance - s) / s) * r / s) ** 2
        return False

    def walk(self, features: Tensor, k: int) -> Tensor:
        centroids = self.queen.centroids
        goal = centroids[(features - centroids).norm(dim=1).argmax()]
        logits = self.queen.victim.head(features)
        way = (goal - features) / (goal - features).norm()
        for step in range(1, 21):
            ahead = self.queen.victim.head(features + 0.05 * step * way)
            if int(ahead.argmax()) != k:
                break
            logits = ahead
        return logits.softmax(1)[0]

    def solve(self, target: np.ndarray) -> np.ndarray:
        start = self.random.dirichlet(np.ones(len(target)))
        found = minimize(
            lambda s: -(s @ target) / (np.linalg.norm(s) * np.linalg.norm(target)),
            start,
            method="SLSQP",
            bounds=[(0, 1)] * len(target),
            constraints={"type": "eq", "fun": lambda s: s.sum() - 1},
        )
        return found.x
