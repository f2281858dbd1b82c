"""`queen-ref data`: check, decode and cache data sets, so that a later use only reads."""

import time
from pathlib import Path
from typing import Annotated

from queen_ref.cli.options import Argument, Option
from queen_ref.data.datasets import SPLITS, check_name, dataset_uint8, splits_of


def run_data(
    names: Annotated[list[str], Argument(metavar="NAME...", help="cifar10, a folder, ...")],
    data_root: Annotated[
        Path | None, Option(help="The folder that holds them [$QUEEN_DATA]")
    ] = None,
    download: Annotated[bool, Option("--download", help="Fetch what is missing")] = False,
    size: Annotated[int | None, Option(help="Height and width in pixels")] = None,
    limit: Annotated[int | None, Option(help="At most so many images")] = None,
) -> int:
    """Check, decode and cache data sets.

    Prints a line for each data set and split that is ready. A data set without test images, as
    Tiny ImageNet often is, is ready with its training images.
    Errors: `ValueError` for one that is not known, missing or broken.

    >>> run_data(["cifar10"], Path("data"))
    cifar10 train: 20 images of 32x32, 10 classes, ...
    cifar10 test: 20 images of 32x32, 10 classes, ...
    0
    """
    for name in names:
        check_name(name)
    for name in names:
        for split in SPLITS:
            begun = time.perf_counter()
            if split not in splits_of(name, data_root):
                print(f"{name} {split}: not there")
                continue
            pixels, labels = dataset_uint8(name, split, data_root, size, download, limit)
            file = getattr(pixels, "filename", None)  # none where the cache cannot be written
            print(
                f"{name} {split}: {len(labels)} images of {pixels.shape[1]}x{pixels.shape[2]}, "
                f"{labels.max() + 1} classes, {time.perf_counter() - begun:.1f} s, "
                f"{f'in {file}' if file else 'not kept'}",
                flush=True,
            )
    return 0
