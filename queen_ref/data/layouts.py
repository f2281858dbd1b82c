"""How each named data set lies in its folder: the files of a split and their class numbers.

What is half unpacked, or something else than it should be, is refused in one line.
"""

from pathlib import Path

import numpy as np

from queen_ref.data.catalog import SOURCES, folder_of, refuse
from queen_ref.data.files import Found, all_files, chosen, class_folders, listed, table

BATCHES = {
    "cifar-10-batches-py": [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch",
                            "batches.meta"],
    "cifar-100-python": ["train", "test", "meta"],
}  # fmt: skip


def find(name: str, base: Path, split: str) -> Found:
    """The files of one split of a named data set below the folder `base`.

    Errors: `ValueError` that says what is missing, where, and how to get it.

    >>> find("cifar10", Path("data"), "test").labels[:5]
    array([0, 0, 1, 1, 2])
    """
    folder = folder_of(name, base)
    if folder.name in BATCHES:
        return _batches(name, folder)
    readers = {"tiny-imagenet": _tiny_imagenet, "cub200": _cub200, "caltech256": _caltech256}
    found = readers[name](folder, split) if name in readers else class_folders(folder / split, name)
    assert found.labels is not None  # only batches hold their own
    source, counts = SOURCES[name], np.unique(found.labels, return_counts=True)[1]
    if len(counts) != source.classes:
        refuse(name, f"{source.classes} classes in {found.folder}", str(len(counts)))
    if source.balanced and counts.min() != counts.max():
        few, many = counts.min(), counts.max()
        what = f"as many images in every class of {found.folder}"
        refuse(name, what, f"{few} in one and {many} in another (half unpacked?)")
    return found


def present(name: str, base: Path) -> bool:
    """Whether the data set is there, so that there is nothing to download.

    >>> present("cub200", Path("data"))
    False
    """
    try:
        folder = folder_of(name, base)
        return folder.name not in BATCHES or bool(_batches(name, folder))
    except ValueError:
        return False


def origin(name: str, base: Path) -> str:
    """What lies below `base` under a data set's name, in words: its authors' files, or copies.

    A copy in another format, or at another size, has other pixels: what is measured on it says so.
    Errors: `ValueError` as `find`, and for a first image that cannot be read.

    >>> origin("cifar10", Path("data"))
    'PNG files of 32x32, copies'
    """
    found = find(name, base, "train")
    if found.labels is None:
        return "batches"
    from PIL import Image  # only for folders of images

    file = found.folder / found.files[0].name
    try:
        with Image.open(file) as picture:
            words = f"{picture.format} files of {picture.width}x{picture.height}"
    except OSError as error:
        refuse(name, f"a whole image at {file}", str(error))
    given = SOURCES[name].given
    return words if given in ("", words) else f"{words}, copies"


def read_batches(name: str, folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR as its authors give it: (N, 32, 32, 3) uint8 and class numbers (N,).

    The batches are pickles. Their checksums are compared before one is opened, as torchvision
    does, which reads them.

    >>> read_batches("cifar10", Path("data/cifar-10-batches-py"), "test")
    Traceback (most recent call last):
    ValueError: cifar10: expected the original files in data/cifar-10-batches-py, found ...
    """
    # Takes seconds, and only the batches of CIFAR need it.
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    kind = getattr(datasets, SOURCES[name].fetched)
    sums = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    try:
        bad = [file for file, md5 in sums if not check_integrity(folder / file, md5)]
    except OSError as error:
        refuse(name, f"readable files in {folder}", str(error.strerror).lower())
    if bad:
        what = f"{', '.join(bad)} with another checksum (cut short? remove the folder)"
        refuse(name, f"the original files in {folder}", what)
    data = kind(folder.parent, train=split == "train", download=False)
    return data.data, np.array(data.targets, np.int64)


def _batches(name: str, folder: Path) -> Found:
    there = {file.name: file for file in all_files(folder, name)}
    missing = [file for file in BATCHES[folder.name] if file not in there]
    if missing:
        refuse(name, f"{', '.join(missing)} in {folder}", "none (half unpacked?)")
    return Found(folder, [there[file] for file in BATCHES[folder.name]], None)


def _tiny_imagenet(folder: Path, split: str) -> Found:
    name, train = "tiny-imagenet", folder / "train"
    if split == "train":
        return class_folders(train, name)
    number = {wnid: n for n, wnid in enumerate(sorted(e.name for e in listed(train, name)))}
    notes = folder / "val" / "val_annotations.txt"
    wnids = table(notes, name)
    odd = sorted(set(wnids.values()) - set(number))
    if odd:
        refuse(name, f"in {notes} the classes of {train}", odd[0])
    labels = {file: number[wnid] for file, wnid in wnids.items()}
    return chosen(folder / "val" / "images", labels, name)


def _cub200(folder: Path, split: str) -> Found:
    name = "cub200"
    lists = ("images", "image_class_labels", "train_test_split")
    paths, classes, sides = (table(folder / f"{what}.txt", name) for what in lists)
    if not paths.keys() == classes.keys() == sides.keys():
        lengths = f"{len(paths)}, {len(classes)} and {len(sides)} (cut short?)"
        refuse(name, f"as many images in {', '.join(lists)}.txt of {folder}", lengths)
    wanted = "1" if split == "train" else "0"
    mine = [key for key, side in sides.items() if side == wanted]
    odd = [classes[key] for key in mine if not classes[key].isdecimal()]
    if odd:
        refuse(name, f"class numbers in {folder / 'image_class_labels.txt'}", repr(odd[0]))
    return chosen(folder / "images", {paths[key]: int(classes[key]) - 1 for key in mine}, name)


def _caltech256(folder: Path, split: str) -> Found:
    """No split is official. Ours: a fifth of each class, in a fixed order, is for tests."""
    whole = class_folders(folder, "caltech256")
    # Class 257, clutter, is a background and no class. It comes last: no number changes.
    whole = whole.take([n for n, f in enumerate(whole.files) if not f.name.startswith("257.")])
    # RandomState's stream is frozen: the split is the same with every version of numpy.
    order = np.random.RandomState(256).permutation(len(whole.files))
    test = np.zeros(len(order), bool)
    assert whole.labels is not None  # folders have them
    for label in np.unique(whole.labels):
        mine = order[whole.labels[order] == label]
        test[mine[: len(mine) // 5]] = True
    return whole.take(np.flatnonzero(test if split == "test" else ~test))
