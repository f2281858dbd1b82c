"""Files of a folder in an order that never changes, with what tells whether they have.

Nothing here opens an image: 100 000 files are listed in about a second.
"""

import hashlib
import os
import unicodedata
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


def class_folders(
    folder: Path, name: str = "imagefolder", classes: Sequence[str] | None = None
) -> Found:
    """Images below `folder/<class>/`; classes are numbered in the order of their names.

    Numbers and order are those of torchvision's `ImageFolder`, but names that begin with a dot
    do not count. Arguments: `name` begins an error's text; `classes`, the names by number where
    other folders have a say, see `class_names`.
    Errors: `ValueError` for a class without images, and for an image that lies in no class.

    >>> class_folders(Path("data/cifar10/test")).labels[:5]
    array([0, 0, 1, 1, 2])
    """
    words = class_names([folder], name)
    files, labels = [], []
    for word in words:
        images = [f for f in all_files(folder, name, word) if is_image(f.name)]
        if not images:
            refuse(name, f"images in {folder / word}", "none (half unpacked?)")
        files += sorted(images, key=lambda file: os.path.split(file.name))
        labels += [(classes or words).index(word)] * len(images)
    if not files:
        refuse(name, f"images in {folder}/<class>/", "none")
    return Found(folder, files, np.array(labels, np.int64))


def class_names(folders: Sequence[Path], name: str) -> list[str]:
    """The classes of one or several folders together: a half that lacks one shifts no number.

    Errors: `ValueError` for an image beside the classes, and for two names that are one to a
    reader: spelled with other code points, or, in two folders, with other capitals.

    >>> class_names([Path("data/cifar10/train"), Path("data/cifar10/test")], "cifar10")[:2]
    ['airplane', 'automobile']
    """
    found: list[set[str]] = []
    for folder in folders:
        entries = [(entry.name, is_folder(entry, name)) for entry in listed(folder, name)]
        loose = sorted(word for word, inner in entries if not inner and is_image(word))
        if loose:
            refuse(name, f"a folder for each class in {folder}", f"{loose[0]} beside them")
        found.append({word for word, inner in entries if inner})
    words = sorted(set().union(*found))
    for spelled in (_composed, lambda word: _composed(word).casefold()):
        known: dict[str, str] = {}
        for word in words:
            other = known.setdefault(spelled(word), word)
            # "A" beside "a" in one folder are two letters; "Cat" here and "cat" there one animal.
            apart = spelled is not _composed and any({word, other} <= inside for inside in found)
            if other != word and not apart:
                refuse(name, f"one spelling of a class in {folders[0]}", f"{other!r} and {word!r}")
    return words


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


def all_files(
    folder: Path, name: str, below: str = "", above: frozenset[tuple[int, int]] = frozenset()
) -> list[File]:
    """Every file below `folder/below`, at any depth, in no order.

    `above` are the folders that we are in, as the system numbers them. Errors: `ValueError` for
    a link that leads back into one of them, and for an image's link that leads nowhere.

    >>> len(all_files(Path("data/cifar10"), "cifar10", "test"))
    20
    """
    files = []
    entries = listed(folder / below, name)
    here = os.stat(folder / below)
    if (here.st_dev, here.st_ino) in above:
        refuse(name, f"no link in {folder} that leads back into itself", below)
    for entry in entries:
        inner = f"{below}/{entry.name}" if below else entry.name
        if is_folder(entry, name):
            files += all_files(folder, name, inner, above | {(here.st_dev, here.st_ino)})
        elif entry.is_file():
            known = entry.stat()
            files.append(File(inner, known.st_size, known.st_mtime_ns))
    return files


def is_folder(entry: os.DirEntry, name: str) -> bool:
    """Whether an entry is a folder, or a link to one; `ValueError` for a link to nothing."""
    try:
        if entry.is_dir():
            return True
        lost = entry.is_symlink() and not entry.is_file()
    except OSError:  # links in a circle
        lost = True
    if lost:
        refuse(name, "links to images and folders", f"{entry.path}, a link to nothing")
    return False


def is_image(name: str) -> bool:
    """Whether a file's name ends like an image's.

    >>> is_image("owl/1.PNG"), is_image("owl/notes.txt")
    (True, False)
    """
    return name.lower().endswith(IMAGES)


def _composed(word: str) -> str:
    """A letter with its accent as one code point, whichever way it was typed."""
    return unicodedata.normalize("NFC", word)


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
