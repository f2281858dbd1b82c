"""Images decoded once: a uint8 array on disk, which the next run maps and does not decode.

An entry is two files under a hash of all that it depends on: the pixels (N, H, W, 3) and the
class numbers (N,). They are written beside and renamed, the pixels last. An entry whose length or
shape is wrong is made again; numpy reads both with `allow_pickle=False`. The folder may be deleted
at any time.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from queen_ref.cache import default_folder, locked, say_once, write_whole
from queen_ref.progress import progress

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Raise it when the same files no longer give the same pixels.
FORMAT = 2
# Files a thread decodes before it asks for more: one by one, the asking costs as much.
STRIDE = 200

Entry = tuple[np.ndarray, np.ndarray]


def decode(files: Sequence[Path], size: int) -> np.ndarray:
    """Every file as an RGB image: (N, size, size, 3) uint8, in the files' order.

    Errors: `ValueError` that names a file which is no image, or not a whole one.

    >>> ships = Path("data/cifar10/test/ship")
    >>> decode([ships / "0.png", ships / "1.png"], size=64).shape
    (2, 64, 64, 3)
    """
    pixels = np.empty((len(files), size, size, 3), np.uint8)

    def some(start: int) -> None:
        for number in range(start, min(start + STRIDE, len(files))):
            pixels[number] = _open(files[number], size)

    starts = range(0, len(files), STRIDE)
    # Decoding runs outside of Python's lock, so threads are enough.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
        for _ in zip(progress(starts, desc="decoding images"), pool.map(some, starts), strict=True):
            pass
    return pixels


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Images (N, H, W, 3) uint8 at another size: (N, size, size, 3).

    >>> resize(np.zeros((5, 32, 32, 3), np.uint8), size=64).shape
    (5, 64, 64, 3)
    """
    if pixels.shape[1:3] == (size, size):
        return pixels
    from PIL import Image  # whoever reads the cache does without

    return np.stack([_fit(Image.fromarray(image), size) for image in pixels])


def cached(name: str, depends: str, size: int, make: Callable[[], Entry]) -> Entry:
    """The entry, mapped read-only, or else made by `make()` and kept: (pixels, labels).

    Arguments: `name`, the beginning of the files' names; `depends`, all that decides the entry.
    The folder is `queen_ref.cache.default_folder()`. Where it cannot be written nothing is kept,
    and one line says so. Two processes that need one entry make it once.

    >>> make = lambda: (np.zeros((5, 64, 64, 3), np.uint8), np.zeros(5, np.int64))
    >>> pixels, labels = cached("cats", "files of today", 64, make)     # makes them
    >>> pixels, labels = cached("cats", "files of today", 64, make)     # maps them
    """
    total = hashlib.sha256(f"{FORMAT} {size} {depends}".encode()).hexdigest()
    path = default_folder() / f"{name}-{total[:20]}.npy"
    entry = _read(path, size)
    if entry is not None:
        return entry
    made = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            entry = _read(path, size)  # somebody may have made it while we waited
            if entry is None:
                made = make()
                _write(_labels_of(path), made[1])
                _write(path, made[0])
                entry = _read(path, size)
    except OSError as error:  # of the folder: `make` raises ValueError for its files
        say_once(f"cache: cannot write to {path.parent} ({error.strerror}); images are not kept")
    return entry or made or make()


def _open(file: Path, size: int) -> np.ndarray:
    from PIL import Image  # whoever reads the cache does without

    try:
        with Image.open(file) as picture:
            picture.draft(None, (2 * size, 2 * size))  # JPEG only: skips detail nobody will see
            return _fit(picture, size)
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"data: expected a whole image at {file}, got {why}; unpack its archive again"
        ) from None


def _fit(picture: "Picture", size: int) -> np.ndarray:
    """Shrunk or enlarged until the shorter side fits; what is longer is cut at both ends."""
    from PIL import Image, ImageOps  # whoever reads the cache does without

    ImageOps.exif_transpose(picture, in_place=True)  # upright, as the camera was held
    if picture.mode == "F" or picture.mode.startswith("I"):
        picture = Image.fromarray(_bytes(picture))
    if picture.has_transparency_data:  # black ink on clear would be black on black
        clear = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    picture = picture.convert("RGB")
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _bytes(picture: "Picture") -> np.ndarray:
    """Grey of 16 bits, or of floats in [0, 1], as bytes: Pillow would cut it off, not scale it.

    Errors: `ValueError` for numbers whose range nobody can know.
    """
    grey = np.asarray(picture)
    if picture.mode == "F":
        if not (grey.min() >= 0 and grey.max() <= 1):  # NaN is neither
            raise ValueError(f"floats from {grey.min():g} to {grey.max():g}, not in [0, 1]")
        return np.rint(grey * 255).astype(np.uint8)
    if picture.mode == "I" and picture.format not in ("PNG", "PPM"):  # there it means 16 bits
        raise ValueError("whole numbers of 32 bits, whose white nobody knows")
    if "transparency" in picture.info:
        raise ValueError("grey of 16 bits with a transparent shade")
    return (grey >> 8).astype(np.uint8)


def _labels_of(path: Path) -> Path:
    return path.with_suffix(".labels.npy")


def _read(path: Path, size: int) -> Entry | None:
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        labels = np.load(_labels_of(path), allow_pickle=False)
        good = (
            path.stat().st_size == pixels.offset + pixels.nbytes
            and pixels.dtype == np.uint8
            and pixels.shape == (len(labels), size, size, 3)
            and labels.dtype == np.int64
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception:  # numpy raises what it likes for a file that is none of its own
        good = False
    if good:
        return pixels, labels
    print(f"cache: {path.name} is damaged and is made again", file=sys.stderr)
    return None


def _write(path: Path, array: np.ndarray) -> None:
    write_whole(path, lambda file: np.save(file, array, allow_pickle=False))
