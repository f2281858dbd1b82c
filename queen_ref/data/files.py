"""Files of a folder in an order that never changes, with what tells whether they have.

Nothing here opens an image: 100 000 files are listed in about a second.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from queen_ref.data.catalog import refuse

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class File(NamedTuple):
    """A file as its folder lists it: name below the folder, bytes, time of change in ns."""

    name: str
    size: int
    time: int


@dataclass(frozen=True)
class Found:
    """Files below `folder` and their class numbers (N,).

    `labels` is None for CIFAR's batches: they hold their own.
    """

    folder: Path
    files: list[File]
    labels: np.ndarray | None

    def take(self, rows: Sequence[int] | np.ndarray) -> "Found":
        """Only these files, in this order."""
        files = [self.files[row] for row in rows]
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, files=files, labels=labels)

    def digest(self) -> str:
        """SHA-256 of names, sizes, times and labels: equal as long as nobody touched a file."""
        total = hashlib.sha256("\n".join(map(repr, self.files)).encode(errors="replace"))
        if self.labels is not None:
            total.update(self.labels.tobytes())
        return total.hexdigest()


def class_folders(folder: Path, name: str = "imagefolder") -> Found:
    """Images below `folder/<class>/`; classes are numbered in the order of their names.

    Numbers and order are those of torchvision's `ImageFolder`, but names that begin with a dot
    do not count. Errors: `ValueError` for a class without images; `name` begins its text.

    >>> class_folders(Path("data/cifar10/test")).labels[:5]
    array([0, 0, 1, 1, 2])
    """
    classes = sorted(entry.name for entry in listed(folder, name) if entry.is_dir())
    files, labels = [], []
    for label, word in enumerate(classes):
        images = [f for f in all_files(folder, name, word) if f.name.lower().endswith(IMAGES)]
        if not images:
            refuse(name, f"images in {folder / word}", "none (half unpacked?)")
        files += sorted(images, key=lambda file: os.path.split(file.name))
        labels += [label] * len(images)
    if not files:
        refuse(name, f"images in {folder}/<class>/", "none")
    return Found(folder, files, np.array(labels, np.int64))


def chosen(folder: Path, labels: dict[str, int], name: str) -> Found:
    """The files that a list names, with the class numbers of that list.

    >>> chosen(Path("data/cifar10/test/ship"), {"1.png": 107}, "tiny-imagenet").labels
    array([107])
    """
    there = {file.name: file for file in all_files(folder, name)}
    missing = [file for file in labels if file not in there]
    if missing:
        what = f"{len(labels)} listed images in {folder}"
        refuse(name, what, f"{len(missing)} missing, {missing[0]} first (half unpacked?)")
    return Found(folder, [there[file] for file in labels], np.array([*labels.values()], np.int64))


def table(path: Path, name: str) -> dict[str, str]:
    """The first two words of every line of a list: {first: second}.

    >>> _ = Path("train_test_split.txt").write_text("1 0\\n2 1\\n")
    >>> table(Path("train_test_split.txt"), "cub200")
    {'1': '0', '2': '1'}
    """
    try:
        rows = [line.split()[:2] for line in path.read_text("utf-8", "replace").splitlines()]
    except OSError as error:
        refuse(name, f"the list {path}", str(error.strerror).lower())
    if not rows or any(len(row) != 2 for row in rows):
        refuse(name, f"two words in every line of {path}", "fewer (cut short?)")
    return dict(rows)


def all_files(folder: Path, name: str, below: str = "") -> list[File]:
    """Every file below `folder/below`, at any depth, in no order.

    >>> len(all_files(Path("data/cifar10"), "cifar10", "test"))
    20
    """
    files = []
    for entry in listed(folder / below, name):
        inner = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir():
            files += all_files(folder, name, inner)
        elif entry.is_file():
            known = entry.stat()
            files.append(File(inner, known.st_size, known.st_mtime_ns))
    return files


def listed(folder: Path, name: str) -> list[os.DirEntry]:
    """What a folder holds, without names that begin with a dot; `ValueError` if unreadable.

    >>> sorted(entry.name for entry in listed(Path("data/cifar10"), "cifar10"))
    ['test', 'train']
    """
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        refuse(name, f"a folder {folder}", str(error.strerror).lower())
