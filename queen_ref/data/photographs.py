"""CIFAR-10 behind the API and Tiny ImageNet as queries: the images of `photos` and of `gpu`.

Folders of images are sorted by class: whoever takes the first n of them has a few classes and
not a sample. A pool that is cut is shuffled before, by the seed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from queen_ref.checks import check_number
from queen_ref.data.datasets import data_root, dataset, dataset_uint8
from queen_ref.data.layouts import origin

SIZE = 32
NAMES = ("cifar10", "tiny-imagenet")


def photographs(
    seed: int = 0,
    root: str | Path | None = None,
    download: bool = False,
    limit: int | None = None,
    queries: int | None = None,
) -> dict[str, Any]:
    """The parts of a `Data`: train, test, pools, pool_labels, and `source`, where they come from.

    Arguments: `root`, `download` and `limit`, as for `queen_ref.data.dataset`; `queries`, so many
    of Tiny ImageNet's images, drawn by the `seed`; by default all, in the order of their files.
    Errors: `ValueError` for data that are missing or broken, with how to get them.

    >>> photographs(root="data")
    Traceback (most recent call last):
    ValueError: tiny-imagenet: expected tiny-imagenet-200/ in data, found ...; download=True ...
    """
    if queries is not None:
        check_number("queries", queries, low=1, integer=True)
    asked: dict[str, Any] = {"root": root, "size": SIZE, "limit": limit, "download": download}
    train, test = (dataset("cifar10", split, **asked) for split in ("train", "test"))
    pixels, labels = dataset_uint8("tiny-imagenet", "train", **asked)
    rows = np.arange(len(pixels))
    if queries is not None:
        order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(int(seed)))
        rows = order[:queries].numpy()
    base = data_root(root)
    return {
        "train": train,
        "test": test,
        "pools": {"tiny-imagenet": _floats(pixels[rows])},
        "pool_labels": {"tiny-imagenet": torch.from_numpy(labels[rows])},
        "source": "; ".join(f"{name}: {origin(name, base)}" for name in NAMES),
    }


def _floats(pixels: np.ndarray) -> Tensor:
    """Bytes (N, H, W, C) as images (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float().div_(255)
