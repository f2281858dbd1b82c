"""Outlier exposure (Hendrycks et al., 2019): a victim that is unsure of what is no image.

    L = CE(f(x), label) + lambda CE(f(o), uniform),          o: outliers, lambda = 1.

Adaptive misinformation needs such a victim: it tells a thief's images from a user's by the
victim's confidence. The literature takes another data set for the outliers. Ours are the
training images themselves, cut into 4 x 4 patches that are put together in a random order:
the same strokes and colours, but no object. So no second data set is needed, and the thief's
pool is not given away to the defender.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from queen_ref.checks import check_images, check_number
from queen_ref.models import Builder, Classifier, build, shape_of
from queen_ref.training.fit import fit
from queen_ref.training.recipe import DEFAULT, Recipe, check_recipe

PATCHES = 4  # on each side


def outliers(images: Tensor, seed: int = 0) -> Tensor:
    """Every image (N, C, H, W) with its 4 x 4 patches in a random order; same shape.

    Pixels that a division by four leaves over stay where they are.

    >>> outliers(torch.rand(5, 1, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """
    check_images(images)
    high, wide = images.shape[2] // PATCHES, images.shape[3] // PATCHES
    region = images[:, :, : PATCHES * high, : PATCHES * wide]
    patches = region.unflatten(3, (PATCHES, wide)).unflatten(2, (PATCHES, high))
    patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (N, 16, C, high, wide)
    generator = torch.Generator().manual_seed(int(seed))
    order = torch.rand(len(images), PATCHES**2, generator=generator).argsort(1).to(images.device)
    patches = patches[torch.arange(len(images), device=images.device)[:, None], order]
    shuffled = images.clone()
    back = patches.unflatten(1, (PATCHES, PATCHES)).permute(0, 3, 1, 4, 2, 5)
    shuffled[:, :, : PATCHES * high, : PATCHES * wide] = back.reshape(region.shape)
    return shuffled


class OutlierLoss(nn.Module):
    """lambda CE(f(o), uniform) on the next outliers: a `second_loss` of `queen_ref.training.fit`.

    >>> exposure = OutlierLoss(outliers(images), seed=0)
    >>> losses = fit(model, images, labels, Recipe(epochs=1), second_loss=exposure)
    """

    def __init__(self, images: Tensor, weight: float = 1.0, batch_size: int = 64, seed: int = 0):
        super().__init__()
        check_images(images)
        self.images, self.weight = images, weight
        self.batch_size = min(batch_size, len(images))
        self.generator = torch.Generator().manual_seed(int(seed))

    def forward(self, model: nn.Module) -> Tensor:
        rows = torch.randint(len(self.images), (self.batch_size,), generator=self.generator)
        device = next(model.parameters()).device
        logits = model(self.images[rows.to(self.images.device)].to(device))
        return -self.weight * F.log_softmax(logits, 1).mean()


def train_outlier_exposed(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    recipe: Recipe = DEFAULT,
    *,
    weight: float = 1.0,
    seed: int = 0,
    model: str | Builder | None = None,
) -> Classifier:
    """A victim trained on its task and on outliers made of its own images.

    Arguments: `images` (N, C, H, W), `labels` (N,); `recipe`, whose batch size is the outliers'
    too; `weight`, lambda; `model`, another network than the recipe's, as
    `queen_ref.models.build` takes it.

    >>> victim = train_outlier_exposed(images, labels, 10, Recipe(epochs=10), seed=0)
    """
    check_images(images)
    check_number("weight", weight, low=0)
    check_recipe(recipe)
    classifier = build(model or recipe.model, shape_of(images), num_classes, seed)
    classifier = classifier.to(images.device, images.dtype)
    exposure = OutlierLoss(outliers(images, seed), weight, recipe.batch_size, seed)
    fit(classifier, images, labels, recipe, seed=seed, second_loss=exposure)
    return classifier.eval()
