"""Networks of other libraries in two pieces, or one line."""

import pytest
import torch
import torchvision
from torch import nn

import queen_ref as qr
from queen_ref.models import wrap

CONV = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())


def plain(*more):
    return nn.Sequential(*CONV, nn.Linear(4 * 36, 20), nn.ReLU(), nn.Linear(20, 5), *more)


class Odd(nn.Module):
    """Its output is made from a linear layer's in some way."""

    def __init__(self, last):
        super().__init__()
        self.net, self.last = plain(), last

    def forward(self, images):
        return self.last(self.net(images))


def test_a_resnet_of_torchvision_is_the_same_in_two_pieces():
    net = torchvision.models.resnet18(num_classes=7)
    net.layer1.eval()
    modes = [layer.training for layer in net.modules()]
    victim, images = wrap(net, (3, 32, 32)), torch.rand(3, 3, 32, 32)
    assert modes == [layer.training for layer in net.modules()] and net.fc.out_features == 7
    assert not victim.body.layer1.training and victim.body.layer2.training and victim.training
    net.eval(), victim.eval()
    assert (victim.feature_dim, victim.num_classes) == (512, 7)
    with torch.no_grad():
        torch.testing.assert_close(victim(images), net(images))


def test_a_network_for_other_images_is_found_out_by_itself():
    assert wrap(nn.Sequential(nn.Flatten(), nn.Linear(784, 3))).feature_dim == 784


def test_the_normalisation_of_weights_from_elsewhere_is_put_in_front():
    net = plain().eval()
    victim, images = wrap(net, (1, 8, 8), mean=0.4, std=0.2), torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(victim(images), net((images - 0.4) / 0.2))


def test_a_wrapped_network_is_trained_as_any_victim():
    def builder(shape, num_classes, seed):
        layers = nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, num_classes)
        return wrap(nn.Sequential(*layers), shape)

    one, same = (qr.models.build(builder, (1, 8, 8), 4, seed=3) for _ in range(2))
    assert torch.equal(one.head.weight, same.head.weight) and one.training
    images, labels = torch.rand(16, 1, 8, 8), torch.arange(16) % 4
    assert len(qr.training.fit(one, images, labels, qr.Recipe(epochs=2))) == 2


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (plain(nn.Softmax(1)), "not that of a linear layer"),
        (Odd(lambda logits: (logits,)), "its output is tuple"),
        (Odd(lambda logits: {"logits": logits}), "its output is dict"),
        (Odd(lambda logits: logits * 2), "not that of a linear layer"),
        (nn.Sequential(nn.Conv2d(1, 5, 8), nn.Flatten()), "not that of a linear layer"),
        (nn.Sequential(nn.Linear(8, 3)), "its output is torch.Size"),
        (nn.Identity(), "its output is"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 3)), "shapes cannot be multiplied"),
    ],
)
def test_a_network_that_has_no_such_layer_is_one_line(net, says):
    with pytest.raises(ValueError, match=f"module: expected a network that .*{says}") as told:
        wrap(net, (1, 8, 8))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("thing", [3, "resnet18", torchvision.models.resnet18])
def test_what_is_no_module_is_refused(thing):
    with pytest.raises(ValueError, match="module: expected a torch.nn.Module"):
        wrap(thing)


@pytest.mark.parametrize(
    ("builder", "says"),
    [
        (lambda shape, classes, seed: plain(), "expected a method .features"),
        (lambda shape, classes, seed: wrap(plain(), shape), "expected logits of 4 classes, got 5"),
        (lambda shape, classes, seed: 3, "model: expected a torch.nn.Module, got int"),
    ],
)
def test_a_builder_that_gives_no_victim_is_refused(builder, says):
    with pytest.raises(ValueError, match=says):
        qr.models.build(builder, (1, 8, 8), 4)
