"""CIFAR-10 and Tiny ImageNet from folders of images, for the `gpu` profile.

The environment variable `QUEEN_DATA` names the folder that holds

    cifar10/{train,test}/<class>/*.jpg   or   cifar-10-batches-py/   (torchvision's own)
    tiny-imagenet-200/train/<wnid>/images/*.JPEG

Nothing is downloaded. What is missing is said in one line.
"""

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.datasets import CIFAR10, ImageFolder

from queen_ref.progress import progress


def cifar10(root: str | None = None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """((train images, labels), (test images, labels)): (N, 3, 32, 32) floats in [0, 1].

    Errors: `ValueError` that names what is missing and where it was looked for.

    >>> (images, labels), test = cifar10("/data")
    """
    base = data_root(root)
    if (base / "cifar-10-batches-py").is_dir():
        parts = (CIFAR10(base, train=train, download=False) for train in (True, False))
        return tuple((_floats(part.data), torch.tensor(part.targets)) for part in parts)
    folder = _need(base / "cifar10", "CIFAR-10 (cifar10/{train,test}/<class>/*.jpg)")
    return tuple(image_folder(_need(folder / part, "CIFAR-10")) for part in ("train", "test"))


def tiny_imagenet(
    root: str | None = None, size: int = 32, labels: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Training images of Tiny ImageNet: (N, 3, size, size) in [0, 1].

    With `labels` the pair (images, labels (N,)); a class number is a folder's place in order.

    >>> pool = tiny_imagenet("/data")
    """
    folder = data_root(root) / "tiny-imagenet-200" / "train"
    both = image_folder(_need(folder, "Tiny ImageNet (tiny-imagenet-200/train)"), size)
    return both if labels else both[0]


def image_folder(folder: Path, size: int = 32) -> tuple[Tensor, Tensor]:
    """Every image below `folder/<class>/`, resized to size x size, with its class number.

    >>> images, labels = image_folder(Path("/data/cifar10/test"))
    """
    source = ImageFolder(folder, transform=lambda image: np.asarray(image))
    if not len(source):
        raise ValueError(f"data: expected images in {folder}, found none")
    images, labels = [], []
    for pixels, label in progress(source, desc=f"reading {folder.name}"):
        images.append(_resize(pixels, size))
        labels.append(label)
    return _floats(np.stack(images)), torch.tensor(labels)


def data_root(root: str | None = None) -> Path:
    """The folder named by the argument or by `QUEEN_DATA`; it must exist."""
    name = root or os.environ.get("QUEEN_DATA")
    if not name:
        raise ValueError("data: expected the environment variable QUEEN_DATA to name a folder")
    return _need(Path(name).expanduser(), "the data root")


def _need(folder: Path, what: str) -> Path:
    if not folder.is_dir():
        raise ValueError(f"data: expected {what} at {folder}, found no such folder")
    return folder


def _floats(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float().div_(255)


def _resize(pixels: np.ndarray, size: int) -> np.ndarray:
    if pixels.shape[:2] == (size, size):
        return pixels
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
    small = F.interpolate(image, size=(size, size), mode="bilinear", antialias=True)
    return small[0].clamp(0, 255).byte().permute(1, 2, 0).numpy()
