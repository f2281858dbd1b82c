"""Begin from somebody else's weights, for example torchvision's ImageNet weights.

Models here start from scratch: nothing is downloaded behind a reader's back. Whoever has the
file that torchvision offers for a network (`vgg16_bn-....pth`, `resnet50-....pth`) loads it into
ours. The head never fits, for the classes are others, and neither does the stem of a ResNet that
was made for small images. What does not fit keeps its random start and is named. Victims of the
arena start from random weights, unless told otherwise: `arena.run(..., model=Pretrained(...))`, on
the command line `--model resnet50 --weights FILE`.

The file is read with `weights_only=True`: loading runs no code.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from queen_ref.models.classifier import Classifier
from queen_ref.models.networks import BUILDERS, build
from queen_ref.models.victim import Shape

# torchvision's normalisation, which the weights are used to: mean and deviation over all channels.
MEAN, STD = 0.449, 0.226
HEADS = ("fc.", "classifier.", "head.")


def load_pretrained(model: Classifier, path: str | Path) -> list[str]:
    """Copy a torchvision state dict into `model.body`; the names that kept their random start.

    Errors: `ValueError` for a file that is missing, damaged, or of another network; the model
    stays as it was.

    >>> model = qr.models.build("vgg16_bn", (3, 32, 32), num_classes=10)
    >>> load_pretrained(model, "vgg16_bn-6c64b313.pth")
    Traceback (most recent call last):
    ValueError: weights: expected ...vgg16_bn-6c64b313.pth...
    """
    given = {_ours(name): value for name, value in _read(path).items()}
    wanted = model.body.state_dict()
    fits = {
        name: value
        for name, value in given.items()
        if name in wanted and value.shape == wanted[name].shape
    }
    # A stem may differ; when more does, the file belongs to another network.
    if len(fits) < 0.9 * len(wanted):
        raise ValueError(
            f"weights: expected those of this network at {path}, "
            f"only {len(fits)} of {len(wanted)} tensors fit"
        )
    model.body.load_state_dict(wanted | fits)
    model.mean, model.std = MEAN, STD
    return sorted(set(wanted) - set(fits))


@dataclass(frozen=True)
class Pretrained:
    """A builder of victims: a network by name that begins with a file of weights.

    Arguments: `digest`, the file's SHA-256, which decides what is remembered under it.
    Errors: `ValueError` for an unknown name, and for a file that is missing.

    >>> Pretrained("vgg16_bn", "vgg16_bn-6c64b313.pth")
    Traceback (most recent call last):
    ValueError: weights: expected a file at vgg16_bn-6c64b313.pth, found none
    """

    model: str
    path: str | Path
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        BUILDERS.find(self.model)
        content = _file(self.path).read_bytes()
        object.__setattr__(self, "digest", hashlib.sha256(content).hexdigest())

    def __call__(self, shape: Shape, num_classes: int, seed: int) -> Classifier:
        model = build(self.model, shape, num_classes, seed)
        load_pretrained(model, self.path)
        return model


def _file(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise ValueError(f"weights: expected a file at {path}, found none")
    return Path(path)


def _read(path: str | Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(_file(path), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise ValueError(
            f"weights: expected a state dict at {path} ({type(error).__name__})"
        ) from None
    tensors = isinstance(weights, dict) and all(isinstance(v, Tensor) for v in weights.values())
    if not tensors or not all(bool(value.isfinite().all()) for value in weights.values()):
        raise ValueError(f"weights: expected finite tensors by name at {path}")
    return {name: value for name, value in weights.items() if not name.startswith(HEADS)}


def _ours(name: str) -> str:
    """torchvision calls a VGG's convolutions `features`; here they are the body itself."""
    return name.removeprefix("features.")
