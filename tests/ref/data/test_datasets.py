"""A data set as tensors: its size, its limit, and arguments that make no sense."""

import numpy as np
import pytest
import torch
from folders import batches, folders, picture, refused

from queen_ref.data.datasets import data_root, dataset, in_turns, splits_of


def test_the_size_is_an_argument_also_for_batches(home, monkeypatch):
    batches(home, monkeypatch)
    assert dataset("cifar10", size=48)[0].shape == (50, 3, 48, 48)


def test_bytes_are_a_quarter_of_the_memory_and_the_same_images(home):
    folders(home / "cifar10/train", 10)
    images, labels = dataset("cifar10")
    raw, same = dataset("cifar10", as_uint8=True)
    assert raw.dtype == torch.uint8 and torch.equal(raw.float() / 255, images)
    assert torch.equal(labels, same)


def test_a_limit_keeps_every_class_and_a_larger_one_adds_to_it(home):
    for label in range(10):
        for number in range(4):
            picture(home / f"cifar10/train/{label}/{number}.png", 20 * label + number)
    few, more = (dataset("cifar10", limit=limit) for limit in (10, 25))
    assert sorted(few[1].tolist()) == list(range(10))
    taken, larger = ({image.numpy().tobytes() for image in part[0]} for part in (few, more))
    assert len(taken) == 10 and taken <= larger
    assert np.bincount(more[1]).min() >= 2
    assert len(dataset("cifar10", limit=1000)[0]) == 40


def test_turns_are_shared_out_when_classes_differ_in_size():
    labels = np.repeat([0, 1, 2], [1, 50, 3])
    assert np.bincount(labels[in_turns(labels, 12)]).tolist() == [1, 8, 3]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cifar11",), "name: expected one of cifar10"),
        ((3,), "name: expected"),
        (("imagefolder:",), "name: expected"),
        (("cifar10", "val"), "split: expected"),
        (("cifar10", "test", 5), "root: expected"),
        (("cifar10", "test", None, 4), "size: expected"),
        (("cifar10", "test", None, 32, "yes"), "download: expected"),
        (("cifar10", "test", None, 32, False, 0), "limit: expected"),
        (("cifar10", "test", None, 32, False, True), "limit: expected"),
        (("imagefolder:/no/where",), "imagefolder: expected a folder /no/where"),
    ],
)
def test_wrong_arguments_are_refused(arguments, says):
    assert refused(*arguments).startswith(says)


# Folders in halves ----------------------------------------------------------------------


@pytest.mark.parametrize("held", ["test", "val", "valid", "Validation"])
def test_a_folder_in_halves_is_read_as_splits_whatever_the_second_is_called(home, held):
    folders(home / "mine/train", 3, 2)
    folders(home / "mine" / held, 3)
    assert splits_of(home / "mine") == ("train", "test")
    assert dataset(home / "mine")[1].tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset(home / "mine", "test")[1].tolist() == [0, 1, 2]


def test_beside_test_a_val_is_left_alone(home):
    for number, half in enumerate(("train", "val", "test"), 1):
        folders(home / "mine" / half, 2, number)
    assert len(dataset(home / "mine", "test")[0]) == 6


@pytest.mark.parametrize(
    "halves", [["train"], ["val"], ["test", "val"], ["train", "val", "valid"], ["train", "Train"]]
)
def test_half_a_split_is_no_class(home, halves):
    for half in halves:
        folders(home / "mine" / half, 2)
    assert "expected train/ and one of test/, val/" in refused(home / "mine")


def test_a_train_beside_a_bus_is_a_class(home):
    for word in ("bus", "train", "truck"):
        picture(home / "mine" / word / "0.png")
    assert dataset(home / "mine")[1].tolist() == [0, 1, 2]
    assert splits_of(home / "mine") == ("train",)


@pytest.mark.parametrize(
    ("train", "test", "numbers"),
    [
        ("ant bee owl", "ant owl", ([0, 1, 2], [0, 2])),
        ("bee owl", "ant owl", ([1, 2], [0, 2])),
        ("ant", "bee owl", ([0], [1, 2])),
    ],
)
def test_a_class_has_one_number_in_both_halves(home, train, test, numbers):
    for half, words in (("train", train), ("test", test)):
        for word in words.split():
            picture(home / "mine" / half / word / "0.png")
    assert tuple(dataset(home / "mine", half)[1].tolist() for half in ("train", "test")) == numbers


@pytest.mark.parametrize("name", ["~/mine", "imagefolder:~ghost/mine"])
def test_without_a_home_a_path_from_there_is_one_line(homeless, name):
    assert "found no home" in refused(name)
    with pytest.raises(ValueError, match="^data: expected a folder, found no home"):
        data_root("~/data")
