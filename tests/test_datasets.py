"""Data sets from folders in the layout of each, made small; and the array they become."""

import multiprocessing

import numpy as np
import pytest
from PIL import Image

from queen_ref import pixels
from queen_ref.cli import main
from queen_ref.datasets import dataset, dataset_uint8, in_turns


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("QUEEN_DATA", raising=False)
    return tmp_path / "cache" / "images"


def picture(path, shade=128, size=(32, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, shade if mode == "L" else (shade,) * 3).save(path)


def cifar(root, name="cifar10", classes=10):
    for split in ("train", "test"):
        for label in range(classes):
            for number in range(3):
                picture(root / name / split / f"c{label:03d}" / f"{number}.png", shade=label)
    return root


def tiny_imagenet(root, val=True):
    home = root / "tiny-imagenet-200"
    for label in range(200):
        picture(home / f"train/n{label:03d}/images/n{label:03d}_0.JPEG", label, (64, 64))
    if val:
        (home / "val").mkdir()
        notes = ""
        for label in (7, 3):
            picture(home / f"val/images/val_{label}.JPEG", label, (64, 64))
            notes += f"val_{label}.JPEG\tn{label:03d}\t0\t0\t9\t9\n"
        # The other classes only in the notes: their pictures are listed all the same.
        for label in set(range(200)) - {3, 7}:
            picture(home / f"val/images/val_{label}.JPEG", label, (8, 8))
            notes += f"val_{label}.JPEG\tn{label:03d}\t0\t0\t9\t9\n"
        (home / "val/val_annotations.txt").write_text(notes)
    return root


BIRDS = "CUB_200_2011/images"


def cub200(root):
    home, lists = (
        root / "CUB_200_2011",
        {"images": "", "image_class_labels": "", "train_test_split": ""},
    )
    number = 0
    for label in range(200):
        for side in (1, 0):
            number += 1
            name = f"{label + 1:03d}.Bird/{number}.jpg"
            picture(home / "images" / name, label, (40, 20) if side else (20, 40))
            lists["images"] += f"{number} {name}\n"
            lists["image_class_labels"] += f"{number} {label + 1}\n"
            lists["train_test_split"] += f"{number} {side}\n"
    for name, text in lists.items():
        (home / f"{name}.txt").write_text(text)
    return root


def caltech256(root):
    home = root / "caltech256/256_ObjectCategories"
    for label in range(257):
        name = f"{label + 1:03d}.thing" if label < 256 else "257.clutter"
        for number in range(5):
            mode = "L" if number == 0 else "RGB"
            picture(home / name / f"{label + 1:03d}_{number:04d}.jpg", label % 256, (12, 9), mode)
    (home / "001.thing" / "RENAME2").write_text("a stray file, as in the original")
    return root


@pytest.mark.parametrize(
    ("name", "make", "classes", "train", "test", "size"),
    [
        ("cifar10", cifar, 10, 30, 30, 32),
        ("tiny-imagenet", tiny_imagenet, 200, 200, 200, 32),
        ("cub200", cub200, 200, 200, 200, 64),
        ("caltech256", caltech256, 256, 4 * 256, 256, 64),
    ],
)
def test_every_layout_gives_images_of_its_size_and_all_its_classes(
    tmp_path, name, make, classes, train, test, size
):
    root = make(tmp_path)
    for split, count in (("train", train), ("test", test)):
        images, labels = dataset(name, split, root)
        assert images.shape == (count, 3, size, size) and labels.shape == (count,)
        assert sorted(set(labels.tolist())) == list(range(classes))
        # The shade says which class a picture belongs to (JPEG may be off by a little).
        shades = (images.mean((1, 2, 3)) * 255 - labels % 256).abs()
        assert float(shades.max()) < 3


def test_any_folder_of_class_folders_is_a_data_set(tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / "mine" / split / "cat" / "0.png", 10)
    picture(tmp_path / "mine/train/dog/0.webp", 20)
    assert dataset(str(tmp_path / "mine"), "train", size=16)[0].shape == (2, 3, 16, 16)
    assert dataset(str(tmp_path / "mine"), "test")[1].tolist() == [0]
    assert dataset(str(tmp_path / "mine/train"), "test")[1].tolist() == [0, 1]


def test_the_original_batches_are_read_by_torchvision(tmp_path, monkeypatch):
    from torchvision import datasets

    class Batches:
        def __init__(self, root, train, download):
            self.data = np.full((20, 32, 32, 3), 7, np.uint8)
            self.targets = [place % 10 for place in range(20)]

    monkeypatch.setattr(datasets, "CIFAR10", Batches)
    (tmp_path / "cifar-10-batches-py").mkdir()
    images, labels = dataset("cifar10", "train", tmp_path, limit=10)
    assert images.shape == (10, 3, 32, 32) and sorted(labels.tolist()) == list(range(10))


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("cifar10", lambda root: None, "cifar10/train"),
        ("cifar10", lambda root: (root / "cifar-10-batches-py").mkdir(), "all files of cifar10"),
        ("cifar10", lambda root: cifar(root, classes=9), "10 classes of cifar10 .* found 9"),
        ("cifar10", lambda root: (cifar(root) / "cifar10/train/empty").mkdir(), "to the end"),
        ("tiny-imagenet", lambda root: None, "Stanford"),
        ("cub200", lambda root: (cub200(root) / "CUB_200_2011/images.txt").unlink(), "images.txt"),
        ("cub200", lambda root: next((cub200(root) / BIRDS).rglob("1.jpg")).unlink(), "1.jpg"),
        ("caltech256", lambda root: None, "256_ObjectCategories"),
        ("mnist", lambda root: None, "expected one of cifar10, cifar100"),
    ],
)  # fmt: skip
def test_what_is_missing_or_broken_is_one_line(tmp_path, capsys, name, spoil, says):
    spoil(tmp_path)
    with pytest.raises(ValueError, match=says) as caught:
        dataset(name, "train", tmp_path)
    assert "\n" not in str(caught.value)
    assert main(["data", name, "--data-root", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_picture_that_is_cut_short_is_named(tmp_path):
    cifar(tmp_path)
    victim = tmp_path / "cifar10/train/c003/1.png"
    victim.write_bytes(victim.read_bytes()[:40])
    with pytest.raises(ValueError, match="c003/1.png"):
        dataset("cifar10", "train", tmp_path)


def test_images_are_decoded_once_and_mapped_from_then_on(tmp_path, cache, monkeypatch):
    cifar(tmp_path)
    first, _ = dataset_uint8("cifar10", "train", tmp_path)
    monkeypatch.setattr(pixels, "_image", lambda *_: pytest.fail("decoded again"))
    again, _ = dataset_uint8("cifar10", "train", tmp_path)
    assert isinstance(again, np.memmap) and np.array_equal(first, again)
    assert len(list(cache.iterdir())) == 1


def test_a_file_that_changed_is_noticed(tmp_path):
    cifar(tmp_path)
    before, _ = dataset_uint8("cifar10", "train", tmp_path)
    picture(tmp_path / "cifar10/train/c000/0.png", shade=250)
    after, _ = dataset_uint8("cifar10", "train", tmp_path)
    assert int(before[0].max()) == 0 and int(after[0].max()) == 250


@pytest.mark.parametrize("damage", [b"", b"noise", None])
def test_a_damaged_entry_is_made_again(tmp_path, cache, damage):
    cifar(tmp_path)
    before = np.array(dataset_uint8("cifar10", "train", tmp_path)[0])
    (entry,) = cache.iterdir()
    entry.write_bytes(entry.read_bytes()[:-100] if damage is None else damage)
    assert np.array_equal(dataset_uint8("cifar10", "train", tmp_path)[0], before)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, cache, capsys):
    cifar(tmp_path)
    cache.parent.write_text("a file where the folder should be")
    images, _ = dataset_uint8("cifar10", "train", tmp_path)
    assert images.shape == (30, 32, 32, 3)
    assert "not kept" in capsys.readouterr().err


def _shape_of(root):
    return dataset_uint8("cifar10", "train", root)[0].shape


def test_two_processes_at_once_leave_one_whole_entry(tmp_path, cache):
    cifar(tmp_path)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        shapes = pool.map(_shape_of, [tmp_path, tmp_path])
    assert shapes == [(30, 32, 32, 3)] * 2
    assert [path.suffix for path in cache.iterdir()] == [".npy"]


def test_with_a_limit_the_classes_take_turns():
    labels = np.repeat(np.arange(10), 50)
    rows = in_turns(labels, 25)
    counts = np.bincount(labels[rows])
    assert len(rows) == 25 and counts.min() == 2 and counts.max() == 3
    assert set(rows) <= set(in_turns(labels, 60))  # a larger limit keeps the smaller one's
    assert np.array_equal(in_turns(labels, None), np.arange(500))


@pytest.mark.parametrize("limit", [0, -1, 2.5])
def test_a_limit_that_is_no_count_is_refused(tmp_path, limit):
    with pytest.raises(ValueError, match="limit: expected an integer >= 1"):
        dataset("cifar10", root=cifar(tmp_path), limit=limit)


def test_the_command_says_what_is_ready(tmp_path, capsys):
    tiny_imagenet(tmp_path, val=False)
    assert main(["data", "tiny-imagenet", "--data-root", str(tmp_path), "--limit", "50"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("tiny-imagenet train: 50 images of 32x32, ")
    assert said[1] == "tiny-imagenet test: not there"
