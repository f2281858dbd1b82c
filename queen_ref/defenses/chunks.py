"""Long batches in pieces: what a network needs on the way is more than the images themselves.

Twenty thousand small images in one forward pass want gigabytes. Answers do not depend on how
queries are cut, so whoever answers runs its models on a piece at a time.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

CHUNK = 256  # images in one forward pass; every processor is busy with that


def chunks(count: int) -> Iterator[slice]:
    """The rows of a batch, `CHUNK` at a time.

    >>> [*chunks(300)]
    [slice(0, 256, None), slice(256, 300, None)]
    """
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def joined(parts: Iterable[Tensor]) -> Tensor:
    """The pieces one after the other; a single one as it is.

    >>> joined([torch.zeros(256, 10), torch.zeros(44, 10)]).shape
    torch.Size([300, 10])
    """
    found = list(parts)
    return found[0] if len(found) == 1 else torch.cat(found)
