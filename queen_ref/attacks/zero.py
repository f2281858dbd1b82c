"""Zero: an exact zero in an answer names the label that the answer hides.

The reversed answer of QUEEN is relu(t) / sum(relu(t)) of t = 2 p - y (see
`queen_ref.queen.unlearning`). Where the victim is sure, y_k > 2 p_k at its label k and nowhere
else: relu makes an exact zero of the very entry that was to be hidden. A softmax has none, unless
it underflows. So the thief reads

    y~ = one-hot of argmin_k y'_k   where exactly one entry of y' is zero,      y~ = y'   elsewhere.

One zero, not several: rounded answers and one-hot ones are full of zeros, which name nothing.
For the same reason two classes are too few: there every sure answer has a zero. We have found this
thief in no publication.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class Zero:
    """The recovery: three lines, and no knowledge but the answers.

    >>> Zero()(images, torch.tensor([[0.0, 0.6, 0.4], [0.7, 0.2, 0.1]]))
    tensor([[1.0000, 0.0000, 0.0000],
            [0.7000, 0.2000, 0.1000]])
    """

    name = "zero"
    on_request = True

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        """Labels (N, K) of answers (N, K)."""
        classes = answers.shape[1]
        named = ((answers == 0).sum(1) == 1) & (classes > 2)
        hidden = F.one_hot(answers.argmin(1), classes).to(answers.dtype)
        return torch.where(named[:, None], hidden, answers)
