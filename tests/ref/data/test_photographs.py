"""Photographs from a folder: a pool that is drawn, not the first of its files."""

import pytest
import torch
from folders import folders, tiny

from queen_ref.data.photographs import photographs


@pytest.fixture
def there(home):
    folders(home / "cifar10/train", 10, each=2)
    folders(home / "cifar10/test", 10)
    tiny(home)


def test_all_images_keep_the_order_of_their_files(there):
    parts = photographs()
    assert parts["pool_labels"]["tiny-imagenet"].tolist() == list(range(200))
    assert [len(parts[name][0]) for name in ("train", "test")] == [20, 10]


def test_a_cut_pool_is_drawn_by_the_seed(there):
    drawn = [photographs(seed, queries=40) for seed in (0, 0, 1)]
    labels = [parts["pool_labels"]["tiny-imagenet"] for parts in drawn]
    assert torch.equal(labels[0], labels[1]) and not torch.equal(labels[0], labels[2])
    assert len(labels[0].unique()) == 40
    assert int(labels[0].max()) > 150  # the first 40 files are those of the first 40 classes


def test_an_image_keeps_its_label(there):
    parts = photographs(3, queries=60)
    images, labels = parts["pools"]["tiny-imagenet"], parts["pool_labels"]["tiny-imagenet"]
    assert images.shape == (60, 3, 32, 32) and images.dtype == torch.float32
    assert images.is_contiguous() and float(images.max()) <= 1
    # Each is of one colour, its red the number of its class; JPEG rounds it.
    assert float((images[:, 0].mean((1, 2)) * 255 - labels).abs().max()) < 3


def test_fewer_images_than_are_asked_for_are_all_of_them(there):
    parts = photographs(queries=5000)
    assert sorted(parts["pool_labels"]["tiny-imagenet"].tolist()) == list(range(200))


@pytest.mark.parametrize("queries", [0, 2.5, "40"])
def test_a_number_that_is_none_is_refused(there, queries):
    with pytest.raises(ValueError, match="queries: expected an integer >= 1"):
        photographs(queries=queries)
