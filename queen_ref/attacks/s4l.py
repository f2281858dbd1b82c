"""S4L: a substitute that also learns from images it never asked about.

Semi-supervised extraction (Jagielski et al., 2020, with S4L of Zhai et al., 2019): a second
head on the substitute's features tells by which of 0, 90, 180, 270 degrees a pool image was
turned, and its loss is added,

    L = L(answers) + 1.0 * L(rotations).

No answer is needed for that, so a defence cannot spoil it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from queen_ref.checks import check_batch, check_kind
from queen_ref.models import Classifier

TURNS = 4


class RotationLoss(nn.Module):
    """The second head and its loss, the `second_loss` of `queen_ref.training.fit`.

    Each call takes the next `batch_size` images of the shuffled pool and turns each one by a
    random quarter: all four turns of each would tell the same and cost four times as much.
    Batch norm normalises the turned images among themselves but keeps no average of them, for
    the substitute will be asked about upright ones.
    Errors: `ValueError` when the pool's images are not square.

    >>> rotations, once = RotationLoss(model.feature_dim, pool), qr.training.Recipe(epochs=1)
    >>> losses = qr.training.fit(model, queries, answers, once, second_loss=rotations)
    """

    policies = ("random",)

    def __init__(
        self,
        feature_dim: int,
        pool: Tensor,
        batch_size: int = 128,
        weight: float = 1.0,
        seed: int = 0,
    ):
        super().__init__()
        check_square(pool)
        self.weight, self.batch_size = weight, min(batch_size, len(pool))
        self.generator = torch.Generator().manual_seed(int(seed))
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(int(seed))
            self.head = nn.Linear(feature_dim, TURNS)
        self.head.to(pool.device, pool.dtype)
        self.pool = pool  # a plain attribute: it is not a weight and not to be saved
        self.order = torch.empty(0, dtype=torch.long)

    def next_images(self) -> Tensor:
        """The next images of the pool; a new shuffle when too few are left."""
        if len(self.order) < self.batch_size:
            self.order = torch.randperm(len(self.pool), generator=self.generator)
        rows, self.order = self.order[: self.batch_size], self.order[self.batch_size :]
        return self.pool[rows.to(self.pool.device)]

    def forward(self, model: Classifier) -> Tensor:
        """The weighted loss of one batch under the model's present features."""
        images = self.next_images()
        turns = torch.randint(TURNS, (len(images),), generator=self.generator).to(images.device)
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        kept = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        try:
            features = model.features(turn(images, turns))
        finally:
            for norm, momentum in zip(norms, kept, strict=True):
                norm.momentum = momentum
        return self.weight * F.cross_entropy(self.head(features), turns)


def turn(images: Tensor, turns: Tensor) -> Tensor:
    """Each image (B, C, S, S) turned by its own number of quarters (B,).

    >>> turn(images[:2], torch.tensor([0, 1])).shape         # the second by 90 degrees
    torch.Size([2, 1, 28, 28])
    """
    turned = torch.empty_like(images)
    for quarter in range(TURNS):
        rows = turns == quarter
        turned[rows] = images[rows].rot90(quarter, dims=(2, 3))
    return turned


def check_square(images: Tensor) -> None:
    """Demand square images: a turned rectangle has another shape."""
    check_batch(images)
    check_kind("images", images)
    if images.shape[2] != images.shape[3]:
        raise ValueError(
            f"pool: expected square images for rotations, got {tuple(images.shape[2:])}"
        )
