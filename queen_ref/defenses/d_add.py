"""D-ADD (Mei et al., 2025): do an account's last queries lie in feature space where classes do?

Every class c has a Gaussian N(mu_c, S_c) of the features of its training images. The last W queries
of an account have Gaussians too, N(m_c, C_c) for the n_c of them that are predicted as c. The
account's score is the mean of their squared Frechet distances, weighted by n_c,

    score = 1/W sum_c n_c ( || m_c - mu_c ||^2 + Tr S_c + Tr C_c - 2 Tr (S_c C_c)^(1/2) ),

and a query whose window scores above the threshold is given a random answer. So an account that
turns honest is served again. As long as the window is not full, nobody is judged.

With n_c much smaller than D the score needs no D x D root. Writing phi_i for a query's features,

    sum_c n_c ( || m_c - mu_c ||^2 + Tr C_c ) = sum_i || phi_i - mu_c(i) ||^2 ,

and (S_c C_c) has the eigenvalues of the n_c x n_c matrix of  phi_i^T S_c phi_j / n_c,  centered.
All classes of a window stand in one W x W matrix, and all windows of a batch are solved at once.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_images, check_labels, check_number
from queen_ref.defenses.chunks import chunks, joined
from queen_ref.defenses.detector import Detector, honest_streams
from queen_ref.models import Victim
from queen_ref.modes import evaluating

PER_CLASS = 1.6  # the authors: 16 queries for 10 classes, 256 for 100
HONEST = (50, 500)  # accounts and questions that set the threshold
Memory = tuple[Tensor, Tensor]  # of the last W - 1 queries: features (n, D), labels (n,)


class DADD(Detector):
    """The true answer where the window looks like the training set, else a random one.

    Arguments: `images` (N, C, H, W) and `labels` (N,), the victim's training set; `window`, W, by
    default 1.6 K, at least 16; `threshold`, by default the highest score of 50 honest accounts of
    500 questions each, drawn from the training set; `after` and `seed`, see `Detector`.
    The training set knows its victim better than honest users do, so a threshold set on it is low.

    >>> detector = DADD(victim, images, labels)
    >>> detector.window
    16
    """

    name = "d-add"
    for_good = False
    asks_victim = ("__call__", "features")
    victim: Victim

    def __init__(
        self,
        victim: Victim,
        images: Tensor,
        labels: Tensor,
        seed: int = 0,
        window: int | None = None,
        threshold: float | None = None,
        after: str = "random",
    ):
        super().__init__(victim, after, seed)
        check_images(images)
        check_labels(labels, len(images))
        with torch.no_grad(), evaluating(victim):
            features, predicted = self.describe(images), self._clean(images)
        classes = predicted.shape[1]
        self.window = max(16, round(PER_CLASS * classes)) if window is None else window
        check_number("window", self.window, low=2, integer=True)
        self.means, self.roots, self.spreads = gaussians(
            features, labels.to(images.device), classes
        )
        if threshold is not None:
            check_number("threshold", threshold, low=0)
        else:
            threshold = self._set_on(features, predicted.argmax(1))
        self.threshold = threshold

    def describe(self, images: Tensor) -> Tensor:
        """The victim's features in double precision, (B, D)."""
        return joined(self.victim.features(images[r]) for r in chunks(len(images))).double()

    def watch(self, memory: Memory | None, points: Tensor, labels: Tensor) -> tuple[Tensor, Memory]:
        if int(labels.max()) >= len(self.means):
            raise ValueError(f"probs: expected {len(self.means)} classes, got more")
        seen, classes = points, labels
        if memory is not None:
            seen, classes = torch.cat([memory[0], points]), torch.cat([memory[1], labels])
        alarms = torch.zeros(len(points), dtype=torch.bool)
        if len(seen) >= self.window:
            scores = self.scores(seen, classes).cpu()
            alarms[-len(scores) :] = scores[-len(points) :] > self.threshold
        keep = self.window - 1
        return alarms, (seen[-keep:], classes[-keep:])

    def scores(self, points: Tensor, labels: Tensor) -> Tensor:
        """Of every full window of a stream (n, D), (n,), in order: (n - W + 1,)."""
        away = points - self.means[labels]
        far = (away**2).sum(1) + self.spreads[labels]
        bent = torch.empty_like(away)
        for label in labels.unique().tolist():
            bent[labels == label] = away[labels == label] @ self.roots[label]
        windows, classes = bent.unfold(0, self.window, 1).mT, labels.unfold(0, self.window, 1)
        parts = []
        for rows in chunks(len(windows)):
            block = (classes[rows, :, None] == classes[rows, None]).to(bent)  # (B, W, W)
            mates = block.sum(2, keepdim=True)
            inside = windows[rows] - block @ windows[rows] / mates  # less the class's mean
            gram = block * mates * (inside @ inside.mT)
            parts.append(torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum(1))
        near = joined(parts)
        return (far.unfold(0, self.window, 1).sum(1) - 2 * near) / self.window

    def _set_on(self, features: Tensor, labels: Tensor) -> float:
        """The highest score of honest accounts that ask the training set."""
        if len(features) < self.window:  # not one window: nobody can be judged
            return float("inf")
        streams = honest_streams(len(features), *HONEST, seed=self.seed)
        return max(float(self.scores(features[r], labels[r]).max()) for r in streams)


def gaussians(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of every class its mean (K, D), the root of its covariance (K, D, D), and the trace (K,).

    A class without images gets those of all images.

    >>> means, roots, spreads = gaussians(features, labels, classes=10)
    """
    found = []
    for label in range(classes):
        own = features[labels == label]
        own = own if len(own) else features
        mean = own.mean(0)
        covariance = (own - mean).mT @ (own - mean) / len(own)
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.clamp_min(0).sqrt() @ vectors.mT
        found.append((mean, root, covariance.trace()))
    means, roots, spreads = map(torch.stack, zip(*found, strict=True))
    return means, roots, spreads
