"""Reverse sigmoid: many y for one y' (Lee et al., 2019).

    y' ~ y - beta (sigmoid(gamma logit(y)) - 1/2),        rescaled to sum 1.

Likely classes lose, unlikely ones gain, and the curve is not monotonic: near 0 and near 1 two
different y give the same y'. The sigmoid of a scaled logit needs no logarithm,

    sigmoid(gamma logit(y)) = y^gamma / (y^gamma + (1 - y)^gamma),

which is exact at 0 and 1 too.
"""

from torch import Tensor

from queen_ref.checks import check_number
from queen_ref.defenses.base import Defense, classes_of, num_classes
from queen_ref.models import Model


class ReverseSigmoid(Defense):
    """y moved against its own logit, rescaled.

    Arguments: `beta`, how far answers move; `gamma`, how steeply. 0.21 suits ten classes.

    A class of probability 0 is lifted to beta / 2. With many classes that must stay small beside
    1/K, or a class nobody thought of overtakes the label: the literature's beta is about 2.1 / K.
    The label is promised up to 2.2 / K (and 0.22), with gamma up to 0.2.

    >>> ReverseSigmoid(victim).simulate(images[:1], torch.tensor([[0.9, 0.1, 0.0]]))
    tensor([[0.7939, 0.1110, 0.0950]])
    """

    name = "reverse-sigmoid"
    keeps_label = True  # with the usual settings; others are judged one by one

    def __init__(self, victim: Model, beta: float = 0.21, gamma: float = 0.2):
        super().__init__(victim)
        check_number("beta", beta, low=0, above=True)
        check_number("gamma", gamma, low=0, above=True)
        self.beta, self.gamma = beta, gamma
        classes = num_classes(victim)
        small = classes is not None and beta <= min(0.22, 2.2 / classes)
        self.keeps_label = small and gamma <= 0.2

    @classmethod
    def usual(
        cls, victim: Model, classes: int | None = None, beta: float | None = None
    ) -> "ReverseSigmoid":
        """With the literature's beta for K, where no other is given."""
        if beta is None:
            beta = min(0.21, 2.1 / classes_of("reverse-sigmoid", victim, classes))
        return cls(victim, beta=beta)

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        probs = probs.clamp(0, 1)
        power, other = probs**self.gamma, (1 - probs) ** self.gamma
        moved = probs - self.beta * (power / (power + other) - 0.5)
        moved = moved.clamp_min(0)  # only a beta far above the literature's gets there
        return moved / moved.sum(1, keepdim=True)
