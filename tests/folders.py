"""Data sets of a few images, in the layout of each. Not a test module."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from queen_ref.data.catalog import SOURCES
from queen_ref.data.datasets import dataset


def picture(path: Path, shade: int = 128, size: tuple[int, int] = (32, 32), mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = shade if mode == "L" else (shade, 0, 255 - shade)
    Image.new(mode, size, colour).save(path, "PNG" if path.suffix == ".png" else "JPEG")


def folders(base: Path, classes: int, each: int = 1, word: str = "c{:03}", suffix="jpg") -> None:
    for label in range(classes):
        for number in range(each):
            picture(base / word.format(label) / f"{number}.{suffix}", label % 256)


def batches(base: Path, monkeypatch, name: str = "cifar10") -> Path:
    """Tiny batches as CIFAR's authors pickle them, and their checksums in torchvision's place."""
    from torchvision.datasets import CIFAR10, CIFAR100

    kind, key = (CIFAR10, "labels") if name == "cifar10" else (CIFAR100, "fine_labels")
    folder, classes = base / kind.base_folder, SOURCES[name].classes
    folder.mkdir()

    def write(file: str, content: dict) -> list[str]:
        (folder / file).write_bytes(pickle.dumps(content))
        return [file, hashlib.md5((folder / file).read_bytes()).hexdigest()]

    def part(file: str) -> list[str]:
        rows = np.arange(classes)[:, None] * np.ones((1, 3072)) % 256
        return write(file, {"data": rows.astype(np.uint8), key: list(range(classes))})

    for lists in ("train_list", "test_list"):
        monkeypatch.setattr(kind, lists, [part(file) for file, _ in getattr(kind, lists)])
    names = {kind.meta["key"]: [str(n) for n in range(classes)]}
    meta = {**kind.meta, "md5": write(kind.meta["filename"], names)[1]}
    monkeypatch.setattr(kind, "meta", meta)
    return folder


def cub(base: Path, classes: int = 200) -> Path:
    """Two images a class, the first for training; the lists are numbered from 1."""
    folder, names = base / "CUB_200_2011", []
    for label in range(1, classes + 1):
        names += [f"{label:03}.Bird/Bird_{number}.jpg" for number in (1, 2)]
    for name in names:
        picture(folder / "images" / name, int(name[:3]), (20, 12))
    columns = {
        "images": names,
        "image_class_labels": [int(name[:3]) for name in names],
        "train_test_split": [int(name.endswith("_1.jpg")) for name in names],
    }
    for file, values in columns.items():
        lines = [f"{number} {value}\n" for number, value in enumerate(values, 1)]
        (folder / f"{file}.txt").write_text("".join(lines))
    return folder


def tiny(base: Path) -> Path:
    """One training image and one validation image for each of 200 classes, the latter reversed."""
    folder, lines = base / "tiny-imagenet-200", []
    for label in range(200):
        picture(folder / f"train/n{label:08}/images/n{label:08}_0.JPEG", label, (64, 64))
        picture(folder / f"val/images/val_{label}.JPEG", label, (64, 64))
        lines.append(f"val_{label}.JPEG\tn{199 - label:08}\t0\t32\t44\t62\n")
    (folder / "val/val_annotations.txt").write_text("".join(lines))
    return folder


def refused(*arguments, **options) -> str:
    with pytest.raises(ValueError) as caught:
        dataset(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
