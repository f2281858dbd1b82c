"""Images decoded once: JPEG files become one uint8 array on disk, which is mapped, not read.

Decoding 60 000 JPEG files takes most of a minute on a laptop, mapping the array next time takes
none. An entry is kept under a hash of the files' names, sizes and times and of the image size,
so that a folder that changed is decoded again. Entries are written beside and renamed, and an
entry of the wrong length is not taken for whole. numpy reads them with `allow_pickle=False`.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from queen_ref.progress import progress


def read_images(files: Sequence[Path], size: int, folder: Path | None = None) -> np.ndarray:
    """The images (N, size, size, 3) uint8, decoded now or mapped from the cache in `folder`.

    A picture that is not square is scaled until its shorter side fits, and the middle is cut out.
    Errors: `ValueError` that names the first file which is no image, or is cut short.

    >>> pixels = read_images(sorted(Path("/data/cifar10/test").rglob("*.jpg")), size=32)
    """
    return cached(listing(files) + f" {size}", lambda: decode(files, size), folder)


def listing(files: Sequence[Path]) -> str:
    """A hash of the files' names, sizes and times: equal as long as nobody touched them.

    >>> listing([Path(__file__)]) == listing([Path(__file__)])
    True
    """
    total = hashlib.sha256()
    for file in files:
        known = file.stat()
        total.update(f"{file}\0{known.st_size}\0{known.st_mtime_ns}\n".encode())
    return total.hexdigest()


def decode(files: Sequence[Path], size: int) -> np.ndarray:
    """Read every file as an RGB image: (N, size, size, 3) uint8, in the files' order.

    >>> decode([Path("cat.jpg")], size=64).shape
    (1, 64, 64, 3)
    """
    images = np.empty((len(files), size, size, 3), np.uint8)

    def one(place: int) -> None:
        images[place] = _image(files[place], size)

    # Decoding runs outside of Python's lock, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = pool.map(one, range(len(files)))
        try:
            for _ in progress(range(len(files)), desc="decoding images"):
                next(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return images


def cached(key: str, make: Callable[[], np.ndarray], folder: Path | None = None) -> np.ndarray:
    """The array kept under `key`, mapped read-only, or else made and kept.

    `folder` is the package's cache by default. Where it cannot be written, nothing is kept, and
    one line says so.

    >>> cached("three zeros", lambda: np.zeros((3, 8, 8, 3), np.uint8)).shape
    (3, 8, 8, 3)
    """
    from queen_ref.arena.cache import default_folder

    folder = (folder or default_folder()) / "images"
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.npy"
    try:
        if path.is_file():
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        print(f"cache: {path.name} is damaged and is made again", file=sys.stderr)
    array = make()
    part = folder / f".{path.name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            np.save(file, array, allow_pickle=False)
        os.replace(part, path)  # two processes at once write the same bytes
    except OSError as error:
        part.unlink(missing_ok=True) if folder.is_dir() else None
        print(f"cache: cannot write to {folder} ({error.strerror}); not kept", file=sys.stderr)
        return array
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _image(file: Path, size: int) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(file) as picture:
            picture = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # what PIL raises for damaged files
        raise ValueError(f"data: expected a whole image at {file} ({error})") from None
    width, height = picture.size
    if (width, height) != (size, size):
        scale = size / min(width, height)
        whole = max(size, round(width * scale)), max(size, round(height * scale))
        left, top = (whole[0] - size) // 2, (whole[1] - size) // 2
        picture = picture.resize(whole, Image.Resampling.BILINEAR)
        picture = picture.crop((left, top, left + size, top + size))
    return np.asarray(picture)
