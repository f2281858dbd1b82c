"""Somebody's network in two pieces: everything before its last linear layer, and that layer."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from queen_ref.models.classifier import Classifier
from queen_ref.models.victim import Shape, check_shape
from queen_ref.modes import evaluating


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


@torch.no_grad()
def split(module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> tuple[nn.Module, nn.Linear]:
    """A copy of the module that gives features (B, D), and its last linear layer.

    That is the layer whose output is the module's; what goes into it are the features. Two
    images of the first of `shapes` that the module takes find it, and show that the two pieces
    are the whole. Every flag of every layer stays as it is.
    Errors: `ValueError` where there is no such layer.

    >>> body, head = split(victim, [(1, 28, 28)])
    >>> body(images[:2]).shape[1] == head.in_features
    True
    """
    weight, why = next(module.parameters(), torch.zeros(())), ""
    for shape in shapes:
        body = deepcopy(module)
        images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)).to(weight)
        try:
            with evaluating(body):
                name, head, logits = last_linear(body, images)
                above, _, last = name.rpartition(".")
                setattr(body.get_submodule(above), last, nn.Identity())
                if not torch.allclose(head(body(images)), logits):
                    raise ValueError("what comes into its last layer are not its features alone")
        except Exception as error:  # whatever somebody's network raises for a wrong shape
            lines = str(error).strip().splitlines()
            if lines and (not why or isinstance(error, ValueError)):
                why = f" ({lines[0][:90]})"
            continue
        return body, head
    raise ValueError(
        "module: expected a network that maps images to logits (B, K) and ends in one nn.Linear, "
        f"got {type(module).__name__}{why}"
    )


def last_linear(module: nn.Module, images: Tensor) -> tuple[str, nn.Linear, Tensor]:
    """Name and layer of the linear layer whose output is the module's, and that output (B, K).

    >>> last_linear(victim, images[:2])[0]
    'head'
    """
    ends: list[tuple[str, nn.Linear, Tensor]] = []
    layers = [(n, one) for n, one in module.named_modules() if isinstance(one, nn.Linear) and n]
    hooks = [
        one.register_forward_hook(
            lambda one, _, output, name=name: ends.append((name, one, output))
        )
        for name, one in layers
    ]
    try:
        logits = module(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ValueError(f"its output is {getattr(logits, 'shape', type(logits).__name__)}")
    if not ends or ends[-1][2] is not logits:
        raise ValueError("its output is not that of a linear layer")
    return ends[-1]
