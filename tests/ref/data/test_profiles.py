"""What a profile loads: its parts, its limit, and what it refuses."""

import numpy as np
import pytest
import torch
from folders import folders, tiny

import queen_ref as qr
from queen_ref.arena import settings_of
from queen_ref.data import Data, gradient_step
from queen_ref.data.profiles import FROM_FOLDER

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def mnist() -> Data:
    return qr.data.load("cpu", seed=0)


def test_train_test_and_pool_share_no_image(mnist):
    parts = [mnist.train[0], mnist.test[0], mnist.pools["mnist"]]
    assert [len(part) for part in parts] == [2500, 1000, 1500]
    together = torch.cat(parts).flatten(1)
    assert len(torch.unique(together, dim=0)) == len(qr.data.mnist5k()[0].flatten(1).unique(dim=0))


def test_every_image_of_a_profile_is_a_float_between_0_and_1(mnist):
    for images in (mnist.train[0], mnist.test[0], *mnist.pools.values()):
        assert images.dtype == torch.float32 and images.shape[1:] == mnist.shape
        assert 0 <= float(images.min()) and float(images.max()) <= 1


def test_a_mixture_has_equally_many_of_each_pool_with_their_labels(mnist):
    images, labels = mnist.pool("mnist+digits"), mnist.labels_of("mnist+digits")
    assert len(images) == len(labels) == 3000
    assert torch.equal(images[:1500], mnist.pools["mnist"])
    assert torch.equal(images[1500:], mnist.pools["digits"][:1500])
    assert torch.equal(labels[1500:], mnist.pool_labels["digits"][:1500])
    assert mnist.labels_of("mnist+noise") is None and mnist.labels_of("noise") is None


@pytest.mark.parametrize("name", ["mnist+", "mnist+mnist", "all+mnist", "+", ""])
def test_a_pool_that_is_none_is_refused(mnist, name):
    with pytest.raises(ValueError, match="pool: expected"):
        mnist.pool(name)


def test_a_profile_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="profile: expected one of 'smoke', 'cpu', 'photos'"):
        qr.data.load("tpu")


def test_a_gradient_step_raises_the_loss_and_stays_within_eps():
    # The loss of a linear model is convex: no step along its gradient can lower it.
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))
    labels = torch.arange(6) % 4
    moved = gradient_step(model, IMAGES, labels, eps=0.05)
    assert float((moved - IMAGES).abs().max()) <= 0.05 + 1e-6
    loss = [torch.nn.functional.cross_entropy(model(x), labels) for x in (IMAGES, moved)]
    assert loss[1] > loss[0]


@pytest.mark.parametrize("arguments", [(0, "cpu"), ("cpu", None), (["cpu"], 0), ("cpu", -1)])
def test_load_refuses_arguments_that_make_no_sense(arguments):
    with pytest.raises(ValueError, match="expected"):
        qr.data.load(*arguments)


def test_a_limit_cuts_every_part_and_the_repr_counts_them():
    data = qr.data.load("smoke", limit=100)
    assert repr(data) == (
        "Data(MNIST-5k, (1, 28, 28), train 100, test 100, pools: mnist 100, digits 100, noise 100)"
    )


@pytest.mark.parametrize("profile", FROM_FOLDER)
def test_missing_data_is_said_in_one_line(tmp_path, monkeypatch, profile):
    monkeypatch.delenv("QUEEN_DATA", raising=False)
    with pytest.raises(ValueError, match="QUEEN_DATA"):
        qr.data.load(profile)
    monkeypatch.setenv("QUEEN_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"cifar10: expected .*found no such folder; .*--download"):
        qr.data.load(profile)


@pytest.mark.parametrize("profile", ["smoke", "cpu"])
def test_a_limit_cuts_every_part_of_a_profile_and_keeps_the_classes(profile):
    data = qr.data.load(profile, seed=1, limit=20)
    parts = [data.train[0], data.test[0], *data.pools.values()]
    assert {len(part) for part in parts} == {20}
    for labels in (data.train[1], data.test[1], *data.pool_labels.values()):
        assert sorted(labels.unique().tolist()) == list(range(10)) and len(labels) == 20


def test_the_profile_gpu_reads_both_sets_and_a_limit_cuts_them(home):
    folders(home / "cifar10/train", 10, each=3)
    folders(home / "cifar10/test", 10, each=2)
    tiny(home)
    data = qr.data.load("gpu", limit=25)
    assert len(data.train[0]) == 25 and len(data.test[0]) == 20 and data.num_classes == 10
    assert {name: len(pool) for name, pool in data.pools.items()} == {
        "tiny-imagenet": 25,
        "noise": 25,
    }
    assert repr(data).count("\n") == 0 and "train 25" in repr(data)
    assert data.model == "vgg16_bn" and data.pool_labels["tiny-imagenet"].tolist() == sorted(
        data.pool_labels["tiny-imagenet"].tolist()
    )


def test_the_profile_photos_reads_the_same_sets_and_says_what_lay_there(home):
    folders(home / "cifar10/train", 10, each=3)
    folders(home / "cifar10/test", 10, each=2)
    tiny(home)
    data = qr.data.load("photos", limit=25)
    assert repr(data) == (
        "Data(CIFAR-10, (3, 32, 32), train 25, test 20, pools: tiny-imagenet 25, noise 25)"
    )
    assert data.model == settings_of("photos").victim.model
    assert (
        data.source
        == data.to("cpu").source
        == ("cifar10: JPEG files of 32x32, copies; tiny-imagenet: JPEG files of 64x64")
    )
    assert qr.data.load("smoke", limit=25).source == ""


@pytest.mark.parametrize(
    "options",
    [
        {"profile": 0, "seed": "cpu"},
        {"profile": ["cpu"]},
        {"profile": None},
        {"seed": "0"},
        {"seed": 1.5},
        {"seed": 2**70},
        {"limit": 0},
        {"limit": "10"},
        {"limit": True},
        {"profile": "gpu", "root": 5},
        {"profile": "gpu", "download": "no"},
    ],
)
def test_wrong_arguments_of_a_profile_are_value_errors(options):
    with pytest.raises(ValueError, match="expected"):
        qr.data.load(**options)


def test_a_gradient_step_asks_in_eval_mode_and_puts_every_flag_back():
    model = qr.models.build("small_cnn", (1, 8, 8), 3).train()
    model.body[0][1].eval()
    modes = [part.training for part in model.modules()]
    labels = torch.arange(6) % 3
    moved = gradient_step(model, IMAGES, labels, eps=0.1)
    assert [part.training for part in model.modules()] == modes
    assert torch.equal(moved, gradient_step(model.eval(), IMAGES, labels.to(torch.uint8), eps=0.1))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES * 255, r"numbers in \[0, 1\]"),
        ((IMAGES - 0.5) / 0.25, r"numbers in \[0, 1\]"),
        (IMAGES.double(), "dtype torch.float32"),
    ],
)
def test_a_gradient_step_of_other_images_is_refused(images, message):
    model = qr.models.build("small_cnn", (1, 8, 8), 3)
    with pytest.raises(ValueError, match=message):
        gradient_step(model, images, torch.arange(6) % 3, eps=0.1)


def test_noise_takes_a_seed_of_numpy():
    seeds = (3, np.int64(3))
    one, other = (qr.data.noise(2, (1, 8, 8), seed) for seed in seeds)
    assert torch.equal(one, other)


def test_all_pools_together_are_one_more():
    data = qr.data.load("smoke", limit=20)
    assert torch.equal(data.pool("all"), torch.cat(list(data.pools.values())))
    assert torch.equal(data.pool("digits"), data.pools["digits"])
    assert data.labels_of("all") is None  # nobody knows the noise's
    del data.pools["noise"]
    assert torch.equal(data.labels_of("all"), torch.cat(list(data.pool_labels.values())))
    with pytest.raises(ValueError, match="pool: expected one of"):
        data.pool("noise")
