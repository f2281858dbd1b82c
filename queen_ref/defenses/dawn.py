"""DAWN (Szyller et al., 2021): a few wrong answers that a copy repeats.

A keyed hash of the image marks a small share of all images. A marked image is answered with the
victim's own probabilities moved to other classes, the same way every time, so that its label is
wrong; every other answer is true. Whoever trains on the answers learns the marks. The owner
asks a suspect about the marked images that he answered: of n of them, m have the suspect's label
as answered. Somebody who never saw the answers would be right about a mark by luck, once in K,

    p = P( Binomial(n, 1 / K) >= m ),

and below p = 2^-64 the copy is proved. Nothing is prevented: DAWN proves who has stolen.

The hash sees a coarse picture, 7 x 7 cells that are brighter than the mean or not, so that a
little noise does not wash a mark off. The paper's picture is the code of an autoencoder, and its
answer a keyed shuffle of the probabilities; ours is a keyed shift, which never leaves the label.
"""

import hashlib
from math import comb

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from queen_ref.checks import check_images, check_number
from queen_ref.defenses.base import Defense
from queen_ref.metrics import predict
from queen_ref.models import Model

GRID = 7
PROOF = 2.0**-64  # the paper's


class DAWN(Defense):
    """The true answer, but for marked images.

    Arguments: `share` of all images that are marked, the paper's half a percent; `seed`, which the
    secret key is made of.

    >>> dawn = DAWN(victim, share=0.5)
    >>> moved = dawn(images).argmax(1) != victim(images).argmax(1)
    >>> torch.equal(moved, dawn.marks(images, classes=10) > 0)
    True
    """

    name = "dawn"
    on_request = True

    def __init__(self, victim: Model, share: float = 0.005, seed: int = 0):
        super().__init__(victim)
        check_number("share", share, low=0, high=1)
        check_number("seed", seed, low=0, integer=True)
        self.share, self.seed = share, int(seed)

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        shift = self.marks(images, probs.shape[1])
        places = torch.arange(probs.shape[1], device=probs.device)
        return probs.gather(1, (places - shift[:, None]) % probs.shape[1])

    def marks(self, images: Tensor, classes: int) -> Tensor:
        """By how many classes an answer is moved, (B,), of 1 to K - 1; 0: the image has no mark."""
        key, below = hashlib.sha256(f"dawn {self.seed}".encode()).digest(), self.share * 2.0**64
        shifts = []
        for picture in coarse(images):  # a cryptographic hash takes one message at a time
            drawn = hashlib.blake2b(picture.tobytes(), key=key, digest_size=16).digest()
            marked = int.from_bytes(drawn[:8]) < below
            shifts.append(1 + int.from_bytes(drawn[8:]) % (classes - 1) if marked else 0)
        return torch.tensor(shifts, device=images.device)

    @torch.no_grad()
    def verdict(self, substitute: nn.Module, images: Tensor) -> dict[str, float | int | bool]:
        """Whether a suspect is proved to be a copy, by the images (N, C, H, W) that were answered.

        `marks`, how many of them have one; `repeated`, how many of these the suspect answers with
        the label that was given; `p_value`; `proved`.

        >>> DAWN(victim).verdict(victim, queries)["proved"]
        False
        """
        check_images(images)
        marked = images[self._moved(images) > 0]
        if len(marked) == 0:
            return {"marks": 0, "repeated": 0, "p_value": 1.0, "proved": False}
        given = self(marked)
        said = predict(substitute, marked)
        repeated = int((said.argmax(1) == given.argmax(1).to(said.device)).sum())
        p_value = at_least(repeated, len(marked), given.shape[1])
        proved = p_value < PROOF
        return {"marks": len(marked), "repeated": repeated, "p_value": p_value, "proved": proved}

    def _moved(self, images: Tensor) -> Tensor:
        return self.marks(images, classes=2)  # who is marked does not depend on K


def coarse(images: Tensor) -> np.ndarray:
    """Which of 7 x 7 cells are brighter than the image's mean, (B, 49), of images (B, C, H, W).

    >>> coarse(torch.rand(2, 3, 32, 32)).shape
    (2, 49)
    """
    cells = F.adaptive_avg_pool2d(images.float().mean(1, keepdim=True), GRID).flatten(1)
    return (cells > cells.mean(1, keepdim=True)).cpu().numpy()


def at_least(repeated: int, marks: int, classes: int) -> float:
    """P(Binomial(n, 1 / K) >= m), summed in whole numbers, so that no tail is too small.

    >>> at_least(2, marks=2, classes=10)
    0.01
    """
    ways = sum(comb(marks, m) * (classes - 1) ** (marks - m) for m in range(repeated, marks + 1))
    return ways / classes**marks
