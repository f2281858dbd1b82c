"""The models: features, a head, and the seed that builds them."""

import numpy as np
import pytest
import torch
from hurry import at_once

import queen_ref as qr
from queen_ref.models import BUILDERS
from queen_ref.queen.perturbation import is_affine


@pytest.mark.parametrize("name", sorted(BUILDERS.built_in))
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 17, 40)])
def test_a_model_is_its_features_and_its_head(name, shape):
    model = qr.models.build(name, shape, 5).eval()
    images = torch.rand(2, *shape)
    with torch.no_grad():
        features = model.features(images)
        assert features.shape == (2, model.feature_dim)
        torch.testing.assert_close(model.head(features), model(images))
    assert is_affine(model.head, torch.randn(6, model.feature_dim))


def test_the_same_seed_builds_the_same_model_and_another_seed_another():
    one, same, other = (qr.models.build("small_cnn", (1, 8, 8), 3, seed=s) for s in (4, 4, 5))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 7, 8), (8, 8)])
def test_a_shape_that_no_model_takes_is_refused(shape):
    with pytest.raises(ValueError, match="shape: expected"):
        qr.models.build("small_cnn", shape, 3)


@pytest.mark.parametrize("seed", [np.int64(4), np.uint8(4)])
def test_a_seed_of_numpy_builds_the_same_model(seed):
    one, same = (qr.models.build("small_cnn", (1, 8, 8), 3, seed=s) for s in (4, seed))
    assert torch.equal(one.head.weight, same.head.weight)


def test_eight_threads_build_what_one_builds():
    wanted = [qr.models.build("small_cnn", (1, 8, 8), 3, seed=seed) for seed in range(5)]

    def build(number):
        torch.rand(3)  # somebody else draws from torch's own numbers
        return qr.models.build("small_cnn", (1, 8, 8), 3, seed=number % 5)

    for number, model in enumerate(at_once(build, range(100))):
        same = zip(model.parameters(), wanted[number % 5].parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in same)


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "vgg11_bn"])
def test_a_seed_gives_what_torchs_own_generator_would(name):
    before = torch.get_rng_state()
    model = qr.models.build(name, (3, 32, 32), 4, seed=11)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        wanted = qr.models.BUILDERS[name]((3, 32, 32), 4)
    pairs = zip(model.parameters(), wanted.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_network_of_ones_own_has_a_name_and_the_seed():
    def net(shape, num_classes, seed):
        body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))
        return qr.models.Classifier(body, torch.nn.Linear(8, num_classes + (seed == 9)))

    assert qr.models.register(net, "tiny") is net
    try:
        one, same, other = (qr.models.build("tiny", (1, 8, 8), 3, seed) for seed in (0, 0, 1))
        assert torch.equal(one.head.weight, same.head.weight)
        assert not torch.equal(one.head.weight, other.head.weight)
        with pytest.raises(ValueError, match="expected logits of 3 classes, got 4"):
            qr.models.build("tiny", (1, 8, 8), 3, seed=9)
        with pytest.raises(ValueError, match="is the package's"):
            qr.models.register(net, "small_cnn")
    finally:
        del qr.models.BUILDERS["tiny"]
