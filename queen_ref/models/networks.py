"""Networks of victims, helpers and substitutes by name; the same seed gives the same weights."""

import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from queen_ref.checks import check_number
from queen_ref.models.classifier import Classifier, convolution
from queen_ref.models.compact import cnn3, resnet8
from queen_ref.models.victim import Shape, check_shape, check_victim, try_victim
from queen_ref.registry import Registry, label_of

Builder = Callable[[Shape, int, int], Any]  # shape, num_classes, seed -> a `Victim` to be trained


def small_cnn(shape: Shape, num_classes: int, width: int = 16) -> Classifier:
    """Two convolutions and one hidden layer: enough for MNIST, quick on a laptop.

    `shape` is (C, H, W), from 8x8 up; features are 8 * width wide (128 by default).

    >>> small_cnn((3, 32, 32), num_classes=10).feature_dim
    128
    """
    channels, height, maps = check_shape(shape)
    body = nn.Sequential(
        convolution(channels, width),
        nn.MaxPool2d(2),
        convolution(width, 2 * width),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * (height // 4) * (maps // 4), 8 * width),
        nn.ReLU(),
    )
    return Classifier(body, nn.Linear(8 * width, num_classes))


def resnet18(shape: Shape, num_classes: int) -> Classifier:
    """torchvision's ResNet-18; below 64 pixels its stem keeps the resolution (D = 512).

    >>> resnet18((3, 32, 32), num_classes=10).feature_dim
    512
    """
    return _resnet(_torchvision().resnet18(weights=None), shape, num_classes)


def resnet50(shape: Shape, num_classes: int) -> Classifier:
    """torchvision's ResNet-50; below 64 pixels its stem keeps the resolution (D = 2048)."""
    return _resnet(_torchvision().resnet50(weights=None), shape, num_classes)


def vgg11_bn(shape: Shape, num_classes: int) -> Classifier:
    """torchvision's VGG11 with batch norm, averaged to D = 512 features, one linear head."""
    return _vgg("A", shape, num_classes)


def vgg16_bn(shape: Shape, num_classes: int) -> Classifier:
    """torchvision's VGG16 with batch norm, averaged to D = 512 features, one linear head."""
    return _vgg("D", shape, num_classes)


# The package's own take a shape and K; one's own take a seed, too.
BUILDERS: Registry[Callable[..., Any]] = Registry(
    "model",
    {
        "small_cnn": small_cnn,
        "cnn3_w16": partial(cnn3, width=16),
        "cnn3_w32": partial(cnn3, width=32),
        "resnet8": resnet8,
        "resnet18": resnet18,
        "resnet50": resnet50,
        "vgg11_bn": vgg11_bn,
        "vgg16_bn": vgg16_bn,
    },
)


def register(builder: Builder, name: str | None = None) -> Builder:
    """Make a name of a builder of one's own; gives it back, so that it can stand above a function.

    Errors: `ValueError` for a name of the package.

    >>> register(my_net)                                            # doctest: +SKIP
    """
    if not callable(builder):
        raise ValueError(f"model: expected a builder, got {type(builder).__name__}")
    BUILDERS.register(label_of(builder) if name is None else name, builder)
    return builder


def build(name: str | Builder, shape: Shape, num_classes: int, seed: int = 0) -> Classifier:
    """A freshly initialised model by name; the same seed gives the same weights.

    Arguments: `name`, one of `BUILDERS`, or one's own builder (shape, num_classes, seed) -> a
    module that is a `Victim`; torch's random numbers are seeded before it is called.

    >>> build("small_cnn", (1, 28, 28), num_classes=10, seed=3).num_classes
    10
    """
    check_number("num_classes", num_classes, low=2, integer=True)
    check_number("seed", seed, low=0, integer=True)
    builder: Callable[..., Any] = name if callable(name) else BUILDERS.find(name)
    if name not in BUILDERS.built_in:
        return _own(builder, shape, int(num_classes), int(seed))
    with DrawnFrom(torch.Generator().manual_seed(int(seed))):
        return builder(shape, int(num_classes))


class DrawnFrom(TorchFunctionMode):
    """What `torch.nn.init` draws in this thread comes from a generator of its own.

    Layers fill themselves from torch's global generator, which all threads share: seeded there,
    two that build at once, or one that draws meanwhile, would get each other's numbers.

    >>> with DrawnFrom(torch.Generator().manual_seed(0)):
    ...     layer = nn.Linear(8, 3)
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if "generator" in given and given["generator"] is None:  # so does everything in nn.init
            given["generator"] = self.generator
        return func(*args, **given)


_seeding = threading.Lock()  # of torch's global generator, which one's own builders may draw from


def _own(builder: Builder, shape: Shape, num_classes: int, seed: int) -> Any:
    """What one's own builder gives, if that can be trained and is a victim of K classes."""
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        model = builder(shape, num_classes, seed)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    check_victim(model, "features", "head")
    weight = next(model.parameters(), torch.zeros(()))
    classes = try_victim(model, torch.zeros(2, *shape).to(weight))  # type: ignore[arg-type]
    if classes != num_classes:
        raise ValueError(f"model: expected logits of {num_classes} classes, got {classes}")
    return model


def _torchvision() -> ModuleType:
    # At the top, `import queen_ref` would take 5.0 s instead of 1.8, also for the small CNN.
    from torchvision import models

    return models


def _resnet(net: Any, shape: Shape, num_classes: int) -> Classifier:
    channels, height, _ = check_shape(shape)
    if height < 64:
        net.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    elif channels != 3:
        net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    width, net.fc = net.fc.in_features, nn.Identity()
    return Classifier(net, nn.Linear(width, num_classes))


def _vgg(letter: str, shape: Shape, num_classes: int) -> Classifier:
    channels, height, width = check_shape(shape)
    vgg = _torchvision().vgg
    # Of torchvision's whole network the head, 120 million weights, would be drawn and thrown away.
    layers = list(vgg.make_layers(vgg.cfgs[letter], batch_norm=True))
    if channels != 3:
        layers[0] = nn.Conv2d(channels, 64, 3, padding=1)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):  # as torchvision begins
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    # Five poolings halve 32 pixels down to 1: a smaller image does with fewer, the first ones.
    pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    for index in reversed(pools[min(height, width).bit_length() - 1 :]):
        del layers[index]
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Classifier(body, nn.Linear(512, num_classes))
