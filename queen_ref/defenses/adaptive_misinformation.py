"""Adaptive misinformation, AM (Kariyappa and Qureshi, 2020): lie to whoever sends odd images.

    y' = (1 - a) y + a y_mis,       a = 1 / (1 + exp( -nu (tau - max_k y_k) )),   nu = 1000.

The victim is outlier-exposed: sure of images like its own, unsure of others. Where its largest
probability is below tau the answer comes from another model, trained to be wrong:

    L_mis = - log(1 - softmax(g(x))_label).
"""

import torch
from torch import Tensor, nn

from queen_ref.checks import check_images, check_number
from queen_ref.defenses.base import Defense, classes_of
from queen_ref.models import Builder, Classifier, Model, build, dtype_of, probabilities, shape_of
from queen_ref.training.fit import fit
from queen_ref.training.recipe import DEFAULT, Recipe, check_recipe

NU = 1000.0  # so steep that a is 0 or 1 nearly everywhere


class AdaptiveMisinformation(Defense):
    """y or y_mis, by how sure the victim is.

    Arguments: `victim`, best an outlier-exposed one; `misinformation`, the model that is wrong;
    `tau`, the confidence below which it answers (the literature: 0.7 for ten classes).

    >>> defense = AdaptiveMisinformation(victim, misinformation, tau=0.7)
    >>> probs = defense(images)
    """

    name = "am"
    flags = ("answers come from an outlier-exposed victim, fidelity is to the plain one",)
    copy_flags = ("his copy holds the defender's own misinformation model",)

    def __init__(self, victim: Model, misinformation: nn.Module, tau: float = 0.7):
        super().__init__(victim)
        check_number("tau", tau, low=0, high=1)
        self.misinformation, self.tau = misinformation, tau

    @classmethod
    def usual(
        cls,
        victim: Model,
        outlier_exposed: nn.Module,
        misinformation: nn.Module,
        classes: int | None = None,
        tau: float | None = None,
    ) -> "AdaptiveMisinformation":
        """The outlier-exposed model answers for the victim; the literature's tau for K if none."""
        if tau is None:
            tau = tau_for(classes_of("am", outlier_exposed, classes))
        return cls(outlier_exposed, misinformation, tau)

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        dtype = dtype_of(self.misinformation, images.dtype)
        wrong = probabilities(self.misinformation(images.to(dtype))).to(probs)
        if wrong.shape != probs.shape:
            raise ValueError(f"probs: expected {wrong.shape[1]} classes, got {probs.shape[1]}")
        share = torch.sigmoid(NU * (self.tau - probs.amax(1, keepdim=True)))
        return (1 - share) * probs + share * wrong

    def __repr__(self) -> str:
        return f"AdaptiveMisinformation(tau={self.tau})"


def tau_for(classes: int) -> float:
    """The literature's tau of AM for so many classes: for 10, 100, 200, and for more.

    >>> tau_for(10), tau_for(100)
    (0.7, 0.4)
    """
    return 0.7 if classes <= 10 else 0.4 if classes <= 100 else 0.3 if classes <= 200 else 0.25


def wrong_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """mean of -log(1 - p_label): logits (B, K), labels (B,) -> scalar.

    1 - p_label is the sum of the other classes, and its logarithm a difference of two
    logsumexps, which does not overflow where p_label is 1.
    """
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return (logits.logsumexp(1) - others.logsumexp(1)).mean()


def train_misinformation(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    recipe: Recipe = DEFAULT,
    *,
    seed: int = 0,
    model: str | Builder | None = None,
) -> Classifier:
    """A model trained never to say the label of images (N, C, H, W) with labels (N,).

    Arguments: `model`, another network than the recipe's, as `queen_ref.models.build` takes it.

    >>> wrong = train_misinformation(images, labels, 10, Recipe(epochs=5), seed=0)
    """
    check_images(images)
    check_recipe(recipe)
    classifier = build(model or recipe.model, shape_of(images), num_classes, seed + 1)
    classifier = classifier.to(images.device, images.dtype)
    fit(classifier, images, labels, recipe, seed=seed, loss=wrong_label_loss)
    return classifier.eval()
