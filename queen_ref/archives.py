"""How each data set lies on disk: its files and class numbers, in an order that never changes.

A reader gives (files, labels (N,)) or, for CIFAR's batches, (pixels, labels). It opens no image.
Errors: `ValueError` with the place where something was looked for, and how to get it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True)
class Source:
    """What is known about a data set: its classes, its usual size, and how to get it."""

    classes: int
    size: int
    how: str


_TORCHVISION = "ask for the download, which torchvision does"
SOURCES: dict[str, Source] = {
    "cifar10": Source(10, 32, _TORCHVISION),
    "cifar100": Source(100, 32, _TORCHVISION),
    "tiny-imagenet": Source(200, 32, "unpack Stanford's tiny-imagenet-200.zip there"),
    "cub200": Source(200, 64, "unpack Caltech's CUB_200_2011.tgz there"),
    "caltech256": Source(256, 64, _TORCHVISION),
}


class Missing(ValueError):
    """A file or folder that should be there is not."""


def folders(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Images below `folder/<class>/` in the order of their names; classes are numbered."""
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    files, labels = [], []
    for label, name in enumerate(classes):
        mine = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in IMAGES)
        if not mine:
            raise ValueError(f"data: expected images in {folder / name}, found none; "
                             "is it unpacked to the end?")  # fmt: skip
        files += mine
        labels += [label] * len(mine)
    if not files:
        raise ValueError(f"data: expected images in {folder}/<class>/, found none")
    return files, np.array(labels, np.int64)


def cifar_batches(name: str, folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR as its authors give it; torchvision compares checksums before it opens a file."""
    from torchvision import datasets

    kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    parts = [path for path in folder.iterdir() if path.is_file()]
    try:
        data = kind(folder.parent, train=split == "train", download=False)
    except Exception as error:  # torchvision raises RuntimeError, pickle and tarfile others
        raise ValueError(
            f"data: expected all files of {name} whole in {folder}, found {len(parts)} "
            f"({type(error).__name__}); remove the folder and {SOURCES[name].how}"
        ) from None
    return data.data, np.array(data.targets, np.int64)


def tiny_imagenet(folder: Path, split: str) -> tuple[list[Path], np.ndarray]:
    train = need(folder / "train", "tiny-imagenet")
    if split == "train":
        return folders(train)
    notes = folder / "val" / "val_annotations.txt"
    if not notes.is_file():
        _missing("tiny-imagenet", notes)
    number = {name: place for place, name in enumerate(sorted(os.listdir(train)))}
    pairs = [line.split("\t")[:2] for line in notes.read_text().splitlines() if line]
    files = [_file(folder / "val" / "images" / name, "tiny-imagenet") for name, _ in pairs]
    return files, np.array([number[wnid] for _, wnid in pairs], np.int64)


def cub200(folder: Path, split: str) -> tuple[list[Path], np.ndarray]:
    need(folder, "cub200")

    def column(name: str) -> dict[str, str]:
        path = folder / name
        if not path.is_file():
            _missing("cub200", path)
        return dict(line.split()[:2] for line in path.read_text().splitlines() if line)

    paths, classes = column("images.txt"), column("image_class_labels.txt")
    wanted = "1" if split == "train" else "0"
    mine = [number for number, side in column("train_test_split.txt").items() if side == wanted]
    files = [_file(folder / "images" / paths[number], "cub200") for number in mine]
    return files, np.array([int(classes[number]) - 1 for number in mine], np.int64)


def caltech256(folder: Path, split: str) -> tuple[list[Path], np.ndarray]:
    """No split is official. Ours: of every class, four fifths in a fixed shuffled order train."""
    need(folder, "caltech256")
    files, labels = folders(folder)
    kept = [place for place, file in enumerate(files) if "257.clutter" not in file.parts]
    files, labels = [files[place] for place in kept], labels[kept]
    order = np.random.default_rng(0).permutation(len(files))
    train = np.zeros(len(files), bool)
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        train[mine[: max(1, 4 * len(mine) // 5)]] = True
    rows = np.flatnonzero(train if split == "train" else ~train)
    return [files[row] for row in rows], labels[rows]


def fetch(name: str, base: Path) -> None:
    from torchvision import datasets

    kinds = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100,
             "caltech256": datasets.Caltech256}  # fmt: skip
    if name not in kinds:
        raise ValueError(f"download: torchvision does not fetch {name}; {SOURCES[name].how}")
    try:
        kinds[name](base, download=True)
    except Exception as error:
        text = str(error).strip().splitlines()
        raise ValueError(
            f"download: {name} could not be fetched into {base} ({text[0] if text else error!r})"
        ) from None


def need(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        _missing(name, folder)
    return folder


def _file(path: Path, name: str) -> Path:
    if not path.is_file():
        _missing(name, path)
    return path


def _missing(name: str, path: Path) -> None:
    how = SOURCES[name].how
    raise Missing(f"data: expected {name} at {path}, found nothing there; to get it: {how}")
