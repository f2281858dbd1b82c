"""Each data set in its layout: what loads, and what is only half there."""

import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from folders import batches, cub, folders, picture, refused, tiny

from queen_ref.data.catalog import SOURCES
from queen_ref.data.datasets import dataset
from queen_ref.data.layouts import origin


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar_as_folders(home, name, split):
    folders(home / name / split, SOURCES[name].classes)
    images, labels = dataset(name, split)
    assert images.shape == (SOURCES[name].classes, 3, 32, 32) and images.dtype == torch.float32
    assert labels.tolist() == list(range(SOURCES[name].classes)) and labels.dtype == torch.int64


@pytest.mark.parametrize(("name", "train"), [("cifar10", 50), ("cifar100", 100)])
def test_cifar_as_its_authors_give_it(home, monkeypatch, name, train):
    batches(home, monkeypatch, name)
    classes = SOURCES[name].classes
    for split, count in (("train", train), ("test", classes)):
        images, labels = dataset(name, split)
        assert images.shape == (count, 3, 32, 32)
        assert labels.tolist() == [*range(classes)] * (count // classes)
        assert torch.equal((images[:, 0, 0, 0] * 255).round().long(), labels)


def test_tiny_imagenet_and_the_class_numbers_of_its_validation_images(home):
    tiny(home)
    images, labels = dataset("tiny-imagenet")
    assert images.shape == (200, 3, 32, 32) and labels.tolist() == list(range(200))
    assert dataset("tiny-imagenet", "test")[1].tolist() == list(range(199, -1, -1))


def test_tiny_imagenet_without_validation_images_still_trains(home):
    shutil.rmtree(tiny(home) / "val")
    assert len(dataset("tiny-imagenet")[0]) == 200
    assert "val_annotations.txt" in refused("tiny-imagenet", "test")


def test_cub200_is_split_by_its_own_lists(home):
    cub(home)
    for split in ("train", "test"):
        images, labels = dataset("cub200", split)
        assert images.shape == (200, 3, 64, 64) and labels.tolist() == list(range(200))


@pytest.mark.parametrize("place", ["caltech256/256_ObjectCategories", "256_ObjectCategories"])
def test_caltech256_leaves_out_clutter_and_strays_and_splits_each_class(home, place):
    for label in range(1, 258):
        for number in range(5):
            name = f"{label:03}.thing/{label:03}_{number:04}.jpg"
            picture(home / place / name, label % 256, mode="L" if number else "RGB")
    (home / place / "198.thing/RENAME2").write_text("a stray script")
    for split, each in (("train", 4), ("test", 1)):
        images, labels = dataset("caltech256", split)
        assert images.shape == (256 * each, 3, 64, 64)
        assert np.bincount(labels).tolist() == [each] * 256


def test_half_unpacked_batches_are_named(home, monkeypatch):
    folder = batches(home, monkeypatch)
    (folder / "data_batch_4").unlink()
    text = refused("cifar10")
    assert "data_batch_4" in text and str(folder) in text and "half unpacked" in text


def test_a_batch_that_is_cut_short_is_never_opened(home, monkeypatch):
    folder = batches(home, monkeypatch)
    os.truncate(folder / "data_batch_2", 100)
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("it was opened"))
    text = refused("cifar10")
    assert "data_batch_2" in text and str(folder) in text


@pytest.mark.parametrize(("classes", "found"), [(6, "found 6"), (100, "found 100")])
def test_half_a_cifar_and_another_data_set_are_refused(home, classes, found):
    folders(home / "cifar10/train", classes)
    text = refused("cifar10")
    assert "expected 10 classes" in text and found in text and str(home / "cifar10") in text


def test_an_unpacking_that_stopped_inside_the_last_class_is_noticed(home):
    folders(home / "cifar10/train", 10, each=2)
    (home / "cifar10/train/c009/1.jpg").unlink()
    assert "1 in one and 2 in another" in refused("cifar10")


@pytest.mark.parametrize("keep", [100, 4001])
def test_a_list_that_is_cut_short_is_refused(home, keep):
    path = cub(home) / "train_test_split.txt"
    path.write_text(path.read_text()[: min(keep, len(path.read_text()) - 2)])
    assert "cut short" in refused("cub200")


def test_a_list_of_other_classes_is_refused(home):
    path = tiny(home) / "val/val_annotations.txt"
    path.write_text(path.read_text().replace("n00000005", "n99999999"))
    assert "n99999999" in refused("tiny-imagenet", "test")


def test_a_copy_is_told_from_what_the_authors_gave(home, monkeypatch):
    tiny(home)
    folders(home / "cifar10/train", 10, suffix="png")
    cub(home)
    assert origin("tiny-imagenet", home) == "JPEG files of 64x64"
    assert origin("cifar10", home) == "PNG files of 32x32, copies"
    assert origin("cub200", home) == "JPEG files of 20x12"  # of any size: nothing to compare with
    batches(home, monkeypatch)
    assert origin("cifar10", home) == "batches"


def test_a_smaller_copy_of_tiny_imagenet_says_so(home):
    for label in range(200):
        picture(home / f"tiny-imagenet-200/train/n{label:08}/images/0.JPEG", label)
    assert origin("tiny-imagenet", home) == "JPEG files of 32x32, copies"
    first = home / "tiny-imagenet-200/train/n00000000/images/0.JPEG"
    first.write_bytes(b"no image")
    with pytest.raises(ValueError, match="tiny-imagenet: expected a whole image at .*0.JPEG"):
        origin("tiny-imagenet", home)
