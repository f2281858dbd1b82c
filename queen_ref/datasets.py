"""The data sets of the literature, from folders that you already have.

The environment variable `QUEEN_DATA`, or an argument, names the folder that holds them:

    cifar10/{train,test}/<class>/*      or torchvision's cifar-10-batches-py/
    cifar100/{train,test}/<class>/*     or torchvision's cifar-100-python/
    tiny-imagenet-200/train/<wnid>/images/*.JPEG, tiny-imagenet-200/val/
    CUB_200_2011/images.txt, train_test_split.txt, image_class_labels.txt, images/
    caltech256/256_ObjectCategories/NNN.<class>/*.jpg

Nothing is downloaded unless you ask for it. What is missing or broken is said in one line, with
the place where it was looked for and how to get it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from queen_ref.archives import (
    SOURCES,
    caltech256,
    cifar_batches,
    cub200,
    fetch,
    folders,
    need,
    tiny_imagenet,
)
from queen_ref.checks import check_choice, check_number
from queen_ref.pixels import read_images

SPLITS = ("train", "test")


def dataset(
    name: str,
    split: str = "train",
    root: str | Path | None = None,
    size: int | None = None,
    download: bool = False,
    limit: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Images (N, 3, size, size) in [0, 1] and class numbers (N,) of a data set.

    Arguments: `name`, one of `SOURCES` or the path of any folder of images, one folder a class
    (with `train` and `test` inside, or without); `split` "train" or "test"; `root`, `QUEEN_DATA`
    by default; `size`, the usual one by default; `download`, fetch what is missing, where
    torchvision can; `limit`, the first so many images of a fixed order in which the classes take
    turns.
    Errors: `ValueError` that says what is missing, where it was looked for, how to get it.

    >>> images, labels = dataset("cifar10", "test", root="/data", limit=200)
    >>> images.shape
    torch.Size([200, 3, 32, 32])
    """
    pixels, labels = dataset_uint8(name, split, root, size, download, limit)
    # In one pass: the mapped bytes are read as they are divided.
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    return images.float().div_(255), torch.from_numpy(labels)


def dataset_uint8(
    name: str,
    split: str = "train",
    root: str | Path | None = None,
    size: int | None = None,
    download: bool = False,
    limit: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """As `dataset`, but (N, size, size, 3) uint8, mapped from the cache, and labels int64.

    >>> pixels, labels = dataset_uint8("tiny-imagenet", root="/data")
    """
    check_choice("split", split, SPLITS)
    for what, value in (("size", size), ("limit", limit)):
        if value is not None:
            check_number(what, value, low=8 if what == "size" else 1, integer=True)
    if name not in SOURCES:
        if not Path(name).expanduser().is_dir():
            known = ", ".join(SOURCES)
            raise ValueError(f"data: expected one of {known}, or a folder; got {name!r}")
        files, labels = folders(_half(Path(name).expanduser(), split))
        return _read(files, labels, size or 32, limit)
    source, base = SOURCES[name], data_root(root)
    if download:
        fetch(name, base)
    if name in ("cifar10", "cifar100"):
        batches = base / {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[name]
        if batches.is_dir():
            pixels, labels = cifar_batches(name, batches, split)
            rows = in_turns(labels, limit)
            return pixels[rows], labels[rows]
        files, labels = folders(need(base / name / split, name))
    elif name == "tiny-imagenet":
        files, labels = tiny_imagenet(base / "tiny-imagenet-200", split)
    elif name == "cub200":
        files, labels = cub200(base / "CUB_200_2011", split)
    else:
        files, labels = caltech256(base / "caltech256" / "256_ObjectCategories", split)
    found = len(np.unique(labels))
    if found != source.classes:
        raise ValueError(
            f"data: expected {source.classes} classes of {name} below {base}, found {found}; "
            f"is it unpacked to the end? To get it: {source.how}"
        )
    return _read(files, labels, size or source.size, limit)


def in_turns(labels: np.ndarray, limit: int | None) -> np.ndarray:
    """Rows of the first `limit` images when the classes take turns; all rows without a limit.

    Inside a class the order is shuffled, always in the same way.

    >>> in_turns(np.array([0, 0, 0, 1]), limit=2).tolist()
    [2, 3]
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    order = np.random.default_rng(0).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        turn[mine] = np.arange(len(mine))
    return np.sort(np.lexsort((labels, turn))[:limit])


def data_root(root: str | Path | None = None) -> Path:
    """The folder named by the argument or by `QUEEN_DATA`; it must exist.

    >>> data_root("/data")
    PosixPath('/data')
    """
    name = root or os.environ.get("QUEEN_DATA")
    if not name:
        raise ValueError(
            "data: expected the environment variable QUEEN_DATA, or --data-root, to name a folder"
        )
    base = Path(name).expanduser()
    if not base.is_dir():
        raise ValueError(f"data: expected a folder at {base}, found none")
    return base


def _read(
    files: Sequence[Path], labels: np.ndarray, size: int, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    rows = in_turns(labels, limit)
    return read_images([files[row] for row in rows], size), labels[rows]


def _half(folder: Path, split: str) -> Path:
    return folder / split if all((folder / name).is_dir() for name in SPLITS) else folder
