"""The data sets that have a name: where they lie below the data folder, and how to get them.

The profiles `photos` and `gpu` read CIFAR-10 and Tiny ImageNet. The others, CIFAR-100, CUB-200 and
Caltech-256, `queen-ref data NAME` prepares and `qr.data.dataset("cub200", ...)` loads, for a
victim or a pool of your own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn


@dataclass(frozen=True)
class Source:
    """What is known about a data set.

    Arguments: `folders`, where it may lie below the data folder; `classes`; `size`, the usual
    side of an image; `url` of its archive; `fetched`, the class of torchvision that downloads
    it; `md5`, the archive's checksum, where no class does; `balanced`, every class has as many
    images; `given`, as what its authors give the images, in the words of
    `queen_ref.data.layouts.origin`, where that tells a copy from the original.
    """

    folders: tuple[str, ...]
    classes: int
    size: int
    url: str
    fetched: str = ""
    md5: str = ""
    balanced: bool = False
    given: str = ""

    @property
    def how(self) -> str:
        """How to get it, in words.

        >>> SOURCES["cub200"].how
        'unpack there https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz'
        """
        unpack = f"unpack there {self.url}"
        fetches = bool(self.fetched or self.md5)
        return f"download=True (--download) fetches it, or {unpack}" if fetches else unpack


_TORONTO = "https://www.cs.toronto.edu/~kriz"
_CALTECH = "https://data.caltech.edu/records"
SOURCES = {
    "cifar10": Source(
        folders=("cifar-10-batches-py", "cifar10"),
        classes=10,
        size=32,
        url=f"{_TORONTO}/cifar-10-python.tar.gz",
        fetched="CIFAR10",
        balanced=True,
        given="batches",
    ),
    "cifar100": Source(
        folders=("cifar-100-python", "cifar100"),
        classes=100,
        size=32,
        url=f"{_TORONTO}/cifar-100-python.tar.gz",
        fetched="CIFAR100",
        balanced=True,
        given="batches",
    ),
    "tiny-imagenet": Source(
        folders=("tiny-imagenet-200",),
        classes=200,
        size=32,
        url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        md5="90528d7ca1a48142e341f4ef8d21d0de",
        balanced=True,
        given="JPEG files of 64x64",
    ),
    "cub200": Source(
        folders=("CUB_200_2011",),
        classes=200,
        size=64,
        url=f"{_CALTECH}/65de6-vp158/files/CUB_200_2011.tgz",
    ),
    "caltech256": Source(
        folders=("caltech256/256_ObjectCategories", "256_ObjectCategories"),
        classes=256,
        size=64,
        url=f"{_CALTECH}/nyy15-4j048/files/256_ObjectCategories.tar",
        fetched="Caltech256",
    ),
}


def folder_of(name: str, base: Path) -> Path:
    """The folder of a data set below `base`. Errors: `ValueError` when there is none.

    >>> folder_of("cifar10", Path("data"))
    PosixPath('data/cifar10')
    """
    for folder in SOURCES[name].folders:
        if (base / folder).is_dir():
            return base / folder
    words = " or ".join(f"{folder}/" for folder in SOURCES[name].folders)
    refuse(name, f"{words} in {base}", "no such folder")


def fetch(name: str, base: Path) -> None:
    """Download a data set into `base` with torchvision, which compares checksums.

    Errors: `ValueError` where there is nothing to compare with, and when it fails.

    >>> fetch("cub200", Path("data"))
    Traceback (most recent call last):
    ValueError: cub200: expected CUB_200_2011/ in data, found none, and torchvision cannot ...
    """
    source = SOURCES[name]
    if not (source.fetched or source.md5):
        refuse(name, f"{source.folders[0]}/ in {base}", "none, and torchvision cannot fetch it")
    from torchvision import datasets  # takes seconds, and nothing else here needs it
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        base.mkdir(parents=True, exist_ok=True)
        if source.md5:
            unpack: dict[str, Any] = {"md5": source.md5, "remove_finished": True}
            download_and_extract_archive(source.url, base, **unpack)
        else:
            getattr(datasets, source.fetched)(base, download=True)
    except Exception as error:  # no network, no room, a page in place of the archive
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{name}: expected a download into {base}, got: {why}; or unpack there {source.url}"
        ) from None


def refuse(name: str, expected: str, found: str) -> NoReturn:
    """Raise the one line that says what is wrong with a data set, and how to get it whole.

    >>> refuse("cub200", "images in /data", "none")
    Traceback (most recent call last):
    ValueError: cub200: expected images in /data, found none; unpack there https://...
    """
    how = SOURCES[name].how if name in SOURCES else "give it a folder of images for each class"
    raise ValueError(f"{name}: expected {expected}, found {found}; {how}")
