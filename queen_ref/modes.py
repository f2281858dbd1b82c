"""A model's mode is put back: eval mode for a while, then every submodule as it was.

In train mode batch norm forgets what it has learned with every batch it sees, and dropout answers
at random. So whatever asks a model does it in eval mode. But the model is somebody else's: it may
be in the middle of its training, with some layers frozen. `model.eval()` and `model.train()` set
all flags alike; here each one is remembered.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

# Of two threads that ask one model, the first to finish must not put the flags back under the
# other. So it is counted, per submodule, how many blocks hold it in eval mode. Empty when idle.
_lock = threading.Lock()
_held: dict[int, int] = {}


@contextmanager
def evaluating(*models: object) -> Iterator[None]:
    """Every submodule of the models in eval mode inside, and as it was afterwards.

    Arguments: `models`, modules; of anything else, a victim that is no module for example, the
    modules among its attributes. Safe in several threads at once.

    >>> with evaluating(model): logits = model(images)
    >>> model.training                      # as before
    False
    """
    parts = [part for model in models for part in modules_of(model)]
    with _lock:
        switched = [part for part in parts if part.training or (_held and id(part) in _held)]
        for part in switched:
            _held[id(part)] = _held.get(id(part), 0) + 1
            part.training = False
    try:
        yield
    finally:
        with _lock:
            for part in switched:
                _held[id(part)] -= 1
                if not _held[id(part)]:
                    del _held[id(part)]
                    part.training = True


def modules_of(model: object) -> list[nn.Module]:
    """All submodules, the model itself included; a model that is no module may hold some.

    As `nn.Module.modules`, but three times as fast: a defence looks before every answer.

    >>> [type(module).__name__ for module in modules_of(model)][:2]
    ['Classifier', 'Sequential']
    """
    found = [model] if isinstance(model, nn.Module) else _attributes(model)
    for part in found:  # grows on the way
        if part._modules:
            found += [inner for inner in part._modules.values() if inner is not None]
    return found


def _attributes(model: object) -> list[nn.Module]:
    owner = getattr(model, "__self__", model)  # of a method: whose it is
    if isinstance(owner, nn.Module):
        return [owner]
    values = getattr(owner, "__dict__", {}).values()
    return [value for value in values if isinstance(value, nn.Module)]
