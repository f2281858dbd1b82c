"""Classifiers as QUEEN needs them: a feature extractor and a head, in two pieces.

The head maps the penultimate features to logits. It is one linear layer in every model
here, so logits along a straight line of features are themselves a straight line. The
feature walk of `queen_ref.queen.perturbation` lives on that.

Images come in [0, 1]. Normalisation is the model's own business and happens inside.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from queen_ref.checks import check_choice, check_number
from queen_ref.wrapping import split

Shape = tuple[int, int, int]  # of an image: (C, H, W)
Model = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> logits (B, K)
Builder = Callable[[Shape, int, int], Any]  # shape, num_classes, seed -> a `Victim` to be trained


class Victim(Protocol):
    """A classifier in two pieces, of one's own or of `build`: ``f(x) = head(features(x))``.

    QUEEN asks for features and head; the other defences call the whole. Nothing needs to be
    inherited, and a victim need not be a module.
    """

    def features(self, images: Tensor) -> Tensor:
        """phi(x): images (B, C, H, W) -> features (B, D)."""

    @property
    def head(self) -> Callable[[Tensor], Tensor]:
        """Features (B, D) -> logits (B, K)."""

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> logits (B, K)."""


class Classifier(nn.Module):
    """f(x) = head(features(x)), with x in [0, 1].

    Arguments: `body` maps normalised images (B, C, H, W) to features (B, D); `head` maps
    features to logits (B, K); `mean` and `std` normalise every channel alike.

    >>> model = small_cnn((1, 28, 28), num_classes=10)
    >>> model.features(torch.rand(2, 1, 28, 28)).shape, model(torch.rand(2, 1, 28, 28)).shape
    (torch.Size([2, 128]), torch.Size([2, 10]))
    """

    def __init__(self, body: nn.Module, head: nn.Linear, mean: float = 0.5, std: float = 0.25):
        super().__init__()
        self.body, self.head = body, head
        self.mean, self.std = mean, std

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    @property
    def feature_dim(self) -> int:
        return self.head.in_features

    def features(self, images: Tensor) -> Tensor:
        """phi(x): images (B, C, H, W) in [0, 1] -> features (B, D)."""
        return self.body((images - self.mean) / self.std)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> logits (B, K)."""
        return self.head(self.features(images))


def small_cnn(shape: Shape, num_classes: int, width: int = 16) -> Classifier:
    """Two convolutions and one hidden layer: enough for MNIST, quick on a laptop.

    `shape` is (C, H, W), from 8x8 up; features are 8 * width wide (128 by default).

    >>> small_cnn((3, 32, 32), num_classes=10).feature_dim
    128
    """
    channels, height, maps = check_shape(shape)
    body = nn.Sequential(
        _conv(channels, width),
        nn.MaxPool2d(2),
        _conv(width, 2 * width),
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


BUILDERS: dict[str, Callable[[Shape, int], Classifier]] = {
    "small_cnn": small_cnn,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "vgg11_bn": vgg11_bn,
    "vgg16_bn": vgg16_bn,
}


def build(name: str | Builder, shape: Shape, num_classes: int, seed: int = 0) -> Classifier:
    """A freshly initialised model by name; the same seed gives the same weights.

    Arguments: `name`, one of `BUILDERS`, or one's own builder (shape, num_classes, seed) -> a
    module that is a `Victim`; torch's random numbers are seeded before it is called.

    >>> build("small_cnn", (1, 28, 28), num_classes=10, seed=3).num_classes
    10
    """
    check_number("num_classes", num_classes, low=2, integer=True)
    check_number("seed", seed, low=0, integer=True)
    if not isinstance(name, str) and callable(name):
        return _own(name, shape, num_classes, seed)
    check_choice("model", name, tuple(BUILDERS))
    # torch initialises layers from its global generator: borrow it and give it back.
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return BUILDERS[name](shape, num_classes)


def wrap(
    module: nn.Module, shape: Shape | None = None, mean: float = 0.0, std: float = 1.0
) -> Classifier:
    """A network of torchvision's or timm's kind as features and head; the module stays as it is.

    The head is its last linear layer, whose output is the network's; what comes in there are the
    features. Two images find it.

    Arguments: `shape` of its images, of usual ones the first that it takes by default; `mean` and
    `std`, what it wants subtracted from pixels in [0, 1] and divided by.
    Errors: `ValueError` for a network that does not end in one linear layer.

    A builder for the arena, which begins with a file of weights where there is one:

    >>> def builder(shape, num_classes, seed):
    ...     net = wrap(torchvision.models.resnet18(num_classes=num_classes), shape)
    ...     fresh = load_pretrained(net, "resnet18-f37072fd.pth")
    ...     return net
    >>> wrap(victim, (1, 28, 28)).feature_dim
    128
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    usual = ((3, 224, 224), (3, 32, 32), (1, 28, 28))
    body, head = split(module, usual if shape is None else [check_shape(shape)])
    whole = Classifier(body, head, mean, std)
    whole.training = module.training
    return whole


def shape_of(images: Tensor) -> Shape:
    """(C, H, W) of images (B, C, H, W).

    >>> shape_of(torch.zeros(5, 1, 28, 28))
    (1, 28, 28)
    """
    _, channels, height, width = images.shape
    return channels, height, width


def check_shape(shape: tuple[int, ...]) -> Shape:
    """Demand (C, H, W) with 1 or 3 channels, from 8x8 up, and give it back.

    >>> check_shape((2, 8, 8))
    Traceback (most recent call last):
    ValueError: shape: expected (C, H, W) with 1 or 3 channels, from 8x8 up, got (2, 8, 8)
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < 8:
        raise ValueError(
            f"shape: expected (C, H, W) with 1 or 3 channels, from 8x8 up, got {tuple(shape)}"
        )
    channels, height, width = shape
    return channels, height, width


def check_victim(victim: object, *methods: str) -> None:
    """Demand a victim with these methods.

    >>> check_victim(lambda images: images, "features", "head")
    Traceback (most recent call last):
    ValueError: victim: expected a method .features, see queen_ref.models.Victim
    """
    for name in methods:
        if not callable(getattr(victim, name, None)):
            raise ValueError(f"victim: expected a method .{name}, see queen_ref.models.Victim")


@torch.no_grad()
def try_victim(victim: Victim, images: Tensor) -> int:
    """K of a victim, after a look at what it makes of images (B, C, H, W).

    Errors: `ValueError` for one that lacks a method or answers in other shapes.

    >>> try_victim(victim, images[:2])
    10
    """
    check_victim(victim, "features", "head")
    features = victim.features(images)
    logits = victim.head(features)
    if features.ndim != 2 or logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            "victim: expected features (B, D) and logits (B, K) with K >= 2, "
            f"got {tuple(features.shape)} and {tuple(logits.shape)}"
        )
    return logits.shape[1]


def device_of(model: object, default: torch.device | str) -> torch.device:
    """The device of a module's weights, or `default` for anything else.

    >>> device_of(victim, "cpu")
    device(type='cpu')
    """
    weights = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device(default))


def _own(builder: Builder, shape: Shape, num_classes: int, seed: int) -> Any:
    """What one's own builder gives, if that can be trained and is a victim of K classes."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        model = builder(shape, num_classes, seed)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    check_victim(model, "features", "head")
    modes = {module: module.training for module in model.modules()}
    weight = next(model.parameters(), torch.zeros(()))
    classes = try_victim(model.eval(), torch.zeros(2, *shape).to(weight))  # type: ignore[arg-type]
    for module, training in modes.items():
        module.training = training
    if classes != num_classes:
        raise ValueError(f"model: expected logits of {num_classes} classes, got {classes}")
    return model


def _torchvision() -> ModuleType:
    # At the top, `import queen_ref` would take 5.0 s instead of 1.8, also for the small CNN.
    from torchvision import models

    return models


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


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
