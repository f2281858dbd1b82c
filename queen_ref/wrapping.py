"""Somebody's network in two pieces: everything before its last linear layer, and that layer."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn


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
    body, why = deepcopy(module), ""
    modes = [(layer, layer.training) for layer in body.modules()]
    weight = next(body.parameters(), torch.zeros(()))
    body.eval()
    for shape in shapes:
        images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)).to(weight)
        try:
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
        for layer, training in modes:
            layer.training = training
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
