"""The data sets of the literature, and any folder of images, as arrays.

The environment variable `QUEEN_DATA`, or an argument, names the folder that holds them; their
layouts are in the setup chapter. Nothing is downloaded unless you ask for it. What is missing,
half unpacked or cut short is said in one line, with the place where it was looked for and how to
get it. Images are decoded once and kept, see `queen_ref.data.decode`.
"""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from queen_ref.cache import expanded
from queen_ref.checks import check_choice, check_number
from queen_ref.data.catalog import SOURCES, fetch, refuse
from queen_ref.data.decode import cached, decode, resize
from queen_ref.data.files import Found, class_folders, class_names, is_folder, listed
from queen_ref.data.layouts import find, present, read_batches

SPLITS = ("train", "test")
FOLDER = "imagefolder:"
HELD_OUT = ("test", "val", "valid", "validation")  # what others call the half for tests


def dataset(
    name: str | Path,
    split: str = "train",
    root: str | Path | None = None,
    size: int | None = None,
    download: bool = False,
    limit: int | None = None,
    as_uint8: bool = False,
) -> tuple[Tensor, Tensor]:
    """Images (N, 3, size, size) in [0, 1] and class numbers (N,) of a data set.

    Arguments: `name`, "cifar10", "cifar100", "tiny-imagenet", "cub200", "caltech256", or
    "imagefolder:PATH", or the path itself, with a folder for each class, or with these in `train`
    and `test` (or `val`), whose classes share their numbers; `split`, "train" or "test"; `root`,
    `QUEEN_DATA` by default; `size`, 64 for CUB-200 and Caltech-256, 32 otherwise; `download`,
    fetch what is missing, where torchvision can; `limit`, at most so many images, see `in_turns`;
    `as_uint8`, bytes 0 to 255 in place of floats, a quarter of the memory.
    Errors: `ValueError` that says what is missing, where it was looked for, how to get it.

    >>> images, labels = dataset("cifar10", "test", root="data", limit=4)
    >>> images.shape, labels.tolist()
    (torch.Size([4, 3, 32, 32]), [...])
    """
    pixels, labels = dataset_uint8(name, split, root, size, download, limit)
    images = torch.empty(len(pixels), 3, *pixels.shape[1:3], dtype=torch.uint8)
    # Channel by channel it is faster than to turn the whole.
    for channel in range(3):
        images.numpy()[:, channel] = pixels[..., channel]
    return (images if as_uint8 else images.float().div_(255)), torch.from_numpy(labels)


def dataset_uint8(
    name: str | Path,
    split: str = "train",
    root: str | Path | None = None,
    size: int | None = None,
    download: bool = False,
    limit: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """As `dataset`, but pixels (N, size, size, 3) uint8, mapped from the cache, and int64 labels.

    >>> pixels, labels = dataset_uint8("cifar10", root="data")      # pixels (N, 32, 32, 3)
    """
    check_name(name)
    check_choice("split", split, SPLITS)
    check_choice("download", download, (False, True))
    for what, value, low in (("size", size, 8), ("limit", limit, 1)):
        if value is not None:
            check_number(what, value, low=low, high=1024 if low == 8 else None, integer=True)
    if name not in SOURCES:
        word, found, side = "imagefolder", _class_folders(_path_of(name), split), size or 32
    else:
        word, base = str(name), data_root(root, create=download)
        if download and not present(word, base):
            fetch(word, base)
        found, side = find(word, base, split), size or SOURCES[word].size
    if found.labels is not None:
        found = found.take(in_turns(found.labels, limit))

    def make() -> tuple[np.ndarray, np.ndarray]:
        if found.labels is not None:
            return decode([found.folder / file.name for file in found.files], side), found.labels
        pixels, labels = read_batches(word, found.folder, split)
        rows = in_turns(labels, limit)
        return resize(pixels[rows], side), labels[rows]

    depends = found.digest() + (f" {limit}" if found.labels is None else "")
    return cached(f"{word}-{split}-{side}", f"{word} {split} {depends}", side, make)


def in_turns(labels: np.ndarray | Tensor, limit: int | None = None) -> np.ndarray:
    """Rows of `limit` images, in order, such that the classes took turns; without a limit all.

    Inside a class the turns are shuffled, always in the same way. A limit of K or more leaves out
    none of K classes, and a larger limit keeps all images of a smaller one.

    >>> in_turns(np.array([0, 0, 0, 1]), limit=2).tolist()
    [2, 3]
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    labels = np.asarray(labels)
    order = np.random.default_rng(0).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        turn[mine] = np.arange(len(mine))
    return np.sort(np.lexsort((labels, turn))[:limit])


def data_root(root: str | Path | None = None, create: bool = False) -> Path:
    """The folder named by the argument or by `QUEEN_DATA`. With `create` it need not exist yet.

    >>> data_root("data")
    PosixPath('data')
    """
    if root is not None and not isinstance(root, str | Path):
        raise ValueError(f"root: expected the path of a folder, got {root!r}")
    name = str(root or os.environ.get("QUEEN_DATA") or "")
    if not name:
        raise ValueError(
            "data: expected the environment variable QUEEN_DATA, or --data-root, to name a folder"
        )
    base = expanded("data", name)
    if not base.is_dir() and (base.exists() or not create):
        raise ValueError(f"data: expected the data folder at {base}, found no such folder; "
                         "QUEEN_DATA or --data-root names it")  # fmt: skip
    return base


def splits_of(name: str | Path, root: str | Path | None = None) -> tuple[str, ...]:
    """The splits that there are: Tiny ImageNet may lie there without its `val`, a folder unsplit.

    >>> splits_of("cifar10")
    ('train', 'test')
    """
    check_name(name)
    if name == "tiny-imagenet":
        base = data_root(root, create=True)
        whole = (base / SOURCES["tiny-imagenet"].folders[0] / "val").is_dir()
    else:
        whole = name in SOURCES or _halves(_path_of(name)) is not None
    return SPLITS if whole else ("train",)


def check_name(name: str | Path) -> None:
    """Demand the name of a data set, or a path that looks like one.

    >>> check_name("cifar11")
    Traceback (most recent call last):
    ValueError: name: expected one of cifar10, cifar100, ... or imagefolder:PATH, got 'cifar11'
    """
    if not isinstance(name, str) or name not in SOURCES:
        _path_of(name)


def _path_of(name: str | Path) -> Path:
    """The folder that is meant by what is no data set's name, whether or not it is there."""
    text = str(name) if isinstance(name, str | Path) else ""
    if text.startswith(FOLDER):
        text = text.removeprefix(FOLDER)
    elif os.sep not in text and not Path(text).is_dir():
        text = ""
    if not text:
        words = ", ".join(SOURCES)
        raise ValueError(f"name: expected one of {words} or imagefolder:PATH, got {name!r}")
    return expanded("name", text)


def _halves(folder: Path) -> dict[str, Path] | None:
    """The folders of both splits; None for one that holds classes, or is not there.

    "train" beside "airplane" is a class; beside nothing but "val", or alone, it is half a split.
    """
    words: dict[str, list[Path]] = {}
    for entry in listed(folder, "imagefolder") if folder.is_dir() else ():
        if is_folder(entry, "imagefolder"):
            words.setdefault(entry.name.lower(), []).append(Path(entry.path))
    held = [word for word in HELD_OUT if word in words]
    if "train" in words and "test" in held:
        held = ["test"]
    used = [path for word in ("train", *held) for path in words.get(word, ())]
    if "train" in words and len(held) == 1 and len(used) == 2:
        return {"train": used[0], "test": used[1]}
    if used and (set(words) <= {"train", *HELD_OUT} or "train" in words and held):
        found = ", ".join(f"{path.name}/" for path in sorted(used))
        refuse("imagefolder", f"train/ and one of test/, val/ in {folder}, or its classes", found)
    return None


def _class_folders(folder: Path, split: str) -> Found:
    halves = _halves(folder)
    if halves is not None:
        classes = class_names([*halves.values()], "imagefolder")
        return class_folders(halves[split], classes=classes)
    if split == "test":
        refuse("imagefolder", f"train/ and test/ in {folder}", "none, so all of it is for training")
    return class_folders(folder)
