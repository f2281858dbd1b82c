"""A victim that tells each client the truth a few times and lies afterwards. Not a test module."""

from collections import Counter

import torch

LIE = torch.tensor([0.1, 0.2, 0.3, 0.4])


class Jaded:
    """Honest about the first `patience` images of every client; each image is its own answer."""

    def __init__(self, patience):
        self.patience, self.seen = patience, Counter()

    def __call__(self, images, client="default"):
        rows = []
        for image in images:
            self.seen[client] += 1
            rows.append(truth(image[None])[0] if self.seen[client] <= self.patience else LIE)
        return torch.stack(rows)


def truth(images):
    """Probabilities that tell which image of `numbered` it was."""
    share = images[:, 0, 0, 0]
    return torch.stack([share / 2, 0.5 - share / 2, share / 2, 0.5 - share / 2], 1)


def numbered(count):
    """Images that differ, (count, 1, 8, 8)."""
    return torch.linspace(0, 1, count)[:, None, None, None].expand(count, 1, 8, 8)
