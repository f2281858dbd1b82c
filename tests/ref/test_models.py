"""The models: features, a head, and the seed that builds them."""

import numpy as np
import pytest
import torch
from blocks import Blocks, blocks
from hurry import at_once
from torch import nn

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


class Broken(Blocks):
    """The hand-set victim with one thing wrong."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong
        if wrong == "softmax":
            self.head = nn.Sequential(self.head, nn.Softmax(1))
        if wrong == "log-softmax":
            self.head = nn.Sequential(self.head, nn.LogSoftmax(1))
        if wrong == "width":
            self.head = nn.Linear(7, 4)

    def features(self, images):
        features = super().features(images)
        if self.wrong == "bytes":
            return (255 * features).byte()
        return (features, None) if self.wrong == "features are a tuple" else features

    def forward(self, images):
        logits = super().forward(images)
        changes = {
            "forward is a tuple": lambda: (logits, None),
            "temperature": lambda: logits / 2,
            "forward softmax": lambda: logits.softmax(1),
            "forward has other classes": lambda: logits[:, :3],
        }
        return changes.get(self.wrong, lambda: logits)()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("softmax", "got probabilities"),
        ("forward softmax", "other answers"),
        ("temperature", "other answers"),
        ("forward has other classes", "other answers"),
        ("forward is a tuple", "as one tensor, got tuple"),
        ("features are a tuple", r"expected features \(B, D\)"),
        ("bytes", r"expected features \(B, D\)"),
        ("width", "expected one that answers inputs"),
    ],
)
def test_a_victim_that_breaks_the_contract_is_refused_with_one_line(wrong, message):
    with pytest.raises(ValueError, match=message) as error:
        qr.models.try_victim(Broken(wrong), blocks(2)[0])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["nothing", "log-softmax"])
def test_logits_and_log_probabilities_keep_the_contract(wrong):
    assert qr.models.try_victim(Broken(wrong), blocks(2)[0]) == 4


def test_logits_that_are_a_probability_by_accident_are_still_logits():
    victim = Blocks()
    victim.head.weight.data = torch.eye(4)
    images = torch.zeros(2, 1, 8, 8)
    images[:, :, :4, :4] = 1.0  # features 1, 0, 0, 0
    assert qr.models.try_victim(victim, images) == 4


def test_a_parallel_victim_is_asked_for_what_it_wraps():
    with pytest.raises(ValueError, match="pass the .module of DataParallel"):
        qr.models.try_victim(nn.DataParallel(Blocks()), blocks(2)[0])


def test_trying_leaves_a_victim_as_it_was():
    model = qr.models.build("small_cnn", (1, 8, 8), 4).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    qr.models.try_victim(model, blocks(2)[0])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_images_of_other_channels_are_refused_with_one_line():
    model = qr.models.build("small_cnn", (3, 8, 8), 4)
    with pytest.raises(ValueError, match="victim: expected one that answers inputs"):
        qr.models.try_victim(model, blocks(2)[0])


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
