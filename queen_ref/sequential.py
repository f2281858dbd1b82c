"""What a pass one by one would do, for a whole batch at once.

Some rules are sequential by definition: a query counts only if it is far from those that counted
before it. QUEEN's ledger records points that way, ModelGuard-S its codewords. A loop over the
queries is the definition, and slow on every device; and answers must not depend on how the
queries were cut into batches. So the batch gets the loop's own result, in a few rounds.
"""

import torch
from torch import Tensor


def first_come(close: Tensor, candidates: Tensor) -> Tensor:
    """Which candidates would a one-by-one pass keep? Those close to no kept earlier one.

    Arguments: `close` (B, B) bool, whether j is an earlier neighbour of i; `candidates` (B,)
    bool. The answer is bool (B,). Everybody with no undecided earlier neighbour is decided at
    once; a few rounds do.

    >>> close = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0]]).bool()
    >>> first_come(close, torch.ones(3).bool())
    tensor([ True, False,  True])
    """
    kept, undecided = torch.zeros_like(candidates), candidates.clone()
    while bool(undecided.any()):
        kept |= undecided & ~(close & undecided).any(1)
        undecided &= ~kept & ~(close & kept).any(1)
    return kept
