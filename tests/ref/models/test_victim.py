"""What a victim must be, tried at the door."""

import pytest
import torch
from blocks import Blocks, blocks
from torch import nn

import queen_ref as qr


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
