"""The models: features, a head, and the seed that builds them."""

import pytest
import torch

import queen_ref as qr
from queen_ref.queen.perturbation import is_affine


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "resnet50", "vgg11_bn", "vgg16_bn"])
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


def test_a_victim_of_ones_own_needs_features_and_a_head_and_nothing_else():
    class Mean:
        def features(self, images):
            return images.mean((2, 3))

        def head(self, features):
            return torch.cat([features, -features], 1)

    assert qr.models.try_victim(Mean(), torch.rand(2, 3, 8, 8)) == 6


@pytest.mark.parametrize(
    ("features", "head", "message"),
    [
        (None, lambda f: f, "victim: expected a method .features"),
        (lambda x: x.flatten(1), "head", "victim: expected a method .head"),
        (lambda x: x, lambda f: f, r"features \(B, D\)"),
        (lambda x: x.flatten(1), lambda f: f[:, :1], "K >= 2"),
    ],
)
def test_what_is_no_victim_is_refused_with_one_line(features, head, message):
    victim = type("Own", (), {})()
    victim.features, victim.head = features, head
    with pytest.raises(ValueError, match=message):
        qr.models.try_victim(victim, torch.rand(2, 1, 8, 8))
