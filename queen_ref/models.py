"""Classifiers as QUEEN needs them: a feature extractor and a head, in two pieces.

The head maps the penultimate features to logits. It is one linear layer in every model
here, so logits along a straight line of features are themselves a straight line. The
feature walk of `queen_ref.queen.perturbation` lives on that.

Images come in [0, 1]. Normalisation is the model's own business and happens inside.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from queen_ref.checks import are_probabilities, check_choice, check_logits, check_number
from queen_ref.modes import evaluating

Shape = tuple[int, int, int]  # of an image: (C, H, W)
Model = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> logits (B, K)


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


def build(name: str, shape: Shape, num_classes: int, seed: int = 0) -> Classifier:
    """A freshly initialised model by name; the same seed gives the same weights.

    >>> build("small_cnn", (1, 28, 28), num_classes=10, seed=3).num_classes
    10
    """
    check_choice("model", name, tuple(BUILDERS))
    check_number("num_classes", num_classes, low=2, integer=True)
    check_number("seed", seed, low=0, integer=True)
    with DrawnFrom(torch.Generator().manual_seed(int(seed))):
        return BUILDERS[name](shape, int(num_classes))


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
    wrapped = isinstance(victim, nn.DataParallel | nn.parallel.DistributedDataParallel)
    for name in methods:
        if not callable(getattr(victim, name, None)):
            what = f"a method .{name}, see queen_ref.models.Victim"
            raise ValueError(
                f"victim: expected {what}"
                + (f"; pass the .module of {type(victim).__name__}" if wrapped else "")
            )


@torch.no_grad()
def try_victim(victim: Victim, images: Tensor) -> int:
    """K of a victim, after a look at what it makes of images (B, C, H, W), in eval mode.

    Logits may be shifted by a constant: a victim may answer log-probabilities.
    Errors: `ValueError` for one that lacks a method, answers in other shapes or with
    probabilities, cannot take the images, or is not its head after its features.

    >>> try_victim(victim, images[:2])
    10
    """
    check_victim(victim, "features", "head")
    with evaluating(victim):
        features = _asked(victim.features, images)
        # Under autocast inside the victim features have half the digits of the head's weights.
        logits = _asked(victim.head, features.to(images.dtype)) if is_matrix(features) else None
        if not is_matrix(features) or not is_matrix(logits) or logits.shape[1] < 2:
            raise ValueError(
                "victim: expected features (B, D) and logits (B, K) with K >= 2, "
                f"got {_said(features)} and {_said(logits)}"
            )
        whole = _asked(victim, images) if callable(victim) else None
        check_answer(lambda x: victim.head(victim.features(x).to(x.dtype)), images, logits)
    if whole is not None:
        check_logits(whole, len(images))
        ours, theirs = log_probabilities(logits), log_probabilities(whole)
        half = min(torch.finfo(rows.dtype).bits for rows in (features, logits, whole)) < 32
        reach = (5e-2 if half else 1e-3) * theirs.abs().max().clamp_min(1)
        if ours.shape != theirs.shape or not bool((ours - theirs).abs().max() <= reach):
            raise ValueError(
                "victim: expected victim(x) = victim.head(victim.features(x)), got other answers"
            )
    return logits.shape[1]


@torch.no_grad()
def check_answer(model: Model, images: Tensor, logits: object) -> None:
    """Demand logits (B, K) of what a model has answered to images (B, C, H, W).

    Rows that look like probabilities may be logits by accident: then a black and a white image
    decide. Others cost no forward.

    >>> check_answer(lambda x: victim(x).softmax(1), images, victim(images).softmax(1))
    Traceback (most recent call last):
    ValueError: model: expected logits (or log-probabilities), got probabilities...
    """
    check_logits(logits, len(images))
    assert isinstance(logits, Tensor)
    if are_probabilities(logits):
        black, white = torch.zeros_like(images[:1]), torch.ones_like(images[:1])
        if are_probabilities(model(torch.cat([black, white]))):
            raise ValueError(
                "model: expected logits (or log-probabilities), got probabilities: "
                "leave the softmax out"
            )


def is_matrix(values: object) -> TypeGuard[Tensor]:
    """One tensor of floats with two dimensions?

    >>> is_matrix(torch.zeros(2, 3)), is_matrix((torch.zeros(2, 3),))
    (True, False)
    """
    return isinstance(values, Tensor) and values.ndim == 2 and values.is_floating_point()


def probabilities(logits: Tensor) -> Tensor:
    """Softmax of logits (B, K), in single precision at least: defences compute with it.

    >>> probabilities(torch.zeros(1, 2, dtype=torch.float16))
    tensor([[0.5000, 0.5000]])
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(1)


def log_probabilities(logits: Tensor) -> Tensor:
    """log softmax of logits (B, K), in single precision at least.

    >>> log_probabilities(torch.zeros(1, 2)).exp()
    tensor([[0.5000, 0.5000]])
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(1)


def device_of(model: object, default: torch.device | str) -> torch.device:
    """The device of a module's weights, or `default` for anything else.

    >>> device_of(victim, "cpu")
    device(type='cpu')
    """
    weights = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device(default))


def dtype_of(model: object, default: torch.dtype) -> torch.dtype:
    """The dtype of a module's weights, or `default` for anything else.

    >>> dtype_of(victim, torch.float64)
    torch.float32
    """
    weights = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((weight.dtype for weight in weights), default)


def _asked(part: Callable[[Tensor], Any], values: Tensor) -> Any:
    try:
        return part(values)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:  # torch's, of a layer that others were meant for
        why = str(error).strip().splitlines()[0]
        raise ValueError(
            f"victim: expected one that answers inputs {tuple(values.shape)}, it says: {why}"
        ) from error


def _said(values: object) -> object:
    return tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__


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
