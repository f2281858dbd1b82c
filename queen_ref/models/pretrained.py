"""Begin from somebody else's weights, for example torchvision's ImageNet weights.

Models here start from scratch: nothing is downloaded behind a reader's back. Whoever has the
file that torchvision offers for a network (`vgg16_bn-....pth`, `resnet50-....pth`) loads it into
ours. The head never fits, for the classes are others, and neither does the stem of a ResNet that
was made for small images. What does not fit keeps its random start and is named. Use it for a
victim of your own: the arena's start from random weights.

The file is read with `weights_only=True`: loading runs no code.
"""

from pathlib import Path

import torch
from torch import Tensor

from queen_ref.models.networks import Classifier

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


def _read(path: str | Path) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise ValueError(f"weights: expected a file at {path}, found none")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
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
