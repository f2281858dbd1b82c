"""No defence: the victim's own softmax. What every defence is compared with.

`none-oe` is a control: nothing stands in front of the outlier-exposed victim of adaptive
misinformation. The literature's protocol exposes *every* victim to outliers, ours that one only.
What `am` does, less what `none-oe` does, is adaptive misinformation's own.
"""

from torch import Tensor, nn

from queen_ref.defenses.base import Defense
from queen_ref.models import Model


class NoDefense(Defense):
    """y' = y = softmax(f(x)).

    >>> defense = NoDefense(victim)
    >>> probs = defense(images)         # (B, C, H, W) -> (B, K)
    """

    name = "none"
    l1_bound = 0.0
    keeps_label = True

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        return probs


class OutlierExposed(NoDefense):
    """y' = y of the outlier-exposed victim, which answers in place of the plain one.

    >>> probs = OutlierExposed(victim, outlier_exposed=victim)(images)
    """

    name = "none-oe"
    on_request = True
    keeps_label = False  # of its own victim it does, but a copy is compared with the plain one
    flags = ("answers come from an outlier-exposed victim, fidelity is to the plain one",)

    def __init__(self, victim: Model, outlier_exposed: nn.Module):
        super().__init__(outlier_exposed)
