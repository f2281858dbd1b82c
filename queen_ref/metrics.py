"""The four numbers every run is judged by.

- accuracy: how often a model is right;
- fidelity: how often a substitute says what the *undefended* victim says, right or wrong;
- protected accuracy: how often the top answer of a *defended* victim is right: the price
  that honest users pay;
- L1: how far the answer is moved, mean of `sum_k |y_k - y'_k|`, between 0 and 2.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from queen_ref.checks import check_images, check_labels, check_number, check_probabilities
from queen_ref.models import Model, check_answer, device_of, dtype_of, probabilities
from queen_ref.modes import evaluating


@torch.no_grad()
def predict(model: Model, images: Tensor, batch_size: int = 512) -> Tensor:
    """Softmax of a model over many images (N, C, H, W) -> (N, K), in batches, in eval mode.

    Batches move to the model's device and so do the answers. The model's mode is put back.
    Errors: `ValueError` for images of another dtype than the model's, or a model that answers
    anything but logits.

    >>> probs = predict(victim, images)            # (N, K), each row sums to one
    >>> labels = probs.argmax(1)
    """
    check_images(images, dtype=dtype_of(model, images.dtype))
    check_number("batch_size", batch_size, low=1, integer=True)
    device = device_of(model, images.device)
    answers: list[Tensor] = []
    with evaluating(model):
        for batch in images.split(int(batch_size)):
            batch = batch.to(device)
            logits = model(batch)
            if not answers:
                check_answer(model, batch, logits)
            answers.append(probabilities(logits))
    return torch.cat(answers)


def accuracy(model: Model, images: Tensor, labels: Tensor) -> float:
    """Share of images whose likeliest class is the label, in [0, 1].

    >>> accuracy(victim, images, victim(images).argmax(1))
    1.0
    """
    check_labels(labels, len(images))
    return agreement(predict(model, images).argmax(1), labels)


def fidelity(substitute: Model, victim: Model, images: Tensor) -> float:
    """Share of images on which substitute and undefended victim agree, in [0, 1].

    >>> fidelity(victim, victim, test_images)
    1.0
    """
    ours, theirs = predict(substitute, images), predict(victim, images)
    if ours.shape != theirs.shape:
        raise ValueError(
            f"substitute: expected the victim's {theirs.shape[1]} classes, got {ours.shape[1]}"
        )
    return agreement(ours.argmax(1), theirs.argmax(1))


def protected_accuracy(
    defense: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, batch_size: int = 256
) -> float:
    """Accuracy of the *answers* of a defence, asked in batches, in [0, 1].

    A defence with a memory remembers these queries too. Ask as a client of its own:
    `protected_accuracy(lambda x: queen(x, client="honest"), images, labels)`.

    >>> protected_accuracy(qr.NoDefense(victim), images, victim(images).argmax(1))
    1.0
    """
    check_labels(labels, len(images))
    check_number("batch_size", batch_size, low=1, integer=True)
    answers = [defense(batch) for batch in images.split(int(batch_size))]
    return agreement(torch.cat(answers).argmax(1), labels)


def l1_distance(clean: Tensor, answered: Tensor) -> float:
    """Mean over the batch of ``sum_k |y_k - y'_k|``, in [0, 2]; both (B, K) on the simplex.

    >>> l1_distance(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    2.0
    """
    check_probabilities("clean", clean)
    check_probabilities("answered", answered)
    if clean.shape != answered.shape:
        raise ValueError(
            f"answered: expected shape {tuple(clean.shape)}, got {tuple(answered.shape)}"
        )
    return float((clean - answered.to(clean.device)).abs().sum(1).mean())


def agreement(predicted: Tensor, labels: Tensor) -> float:
    """Share of equal entries of two label vectors (N,)."""
    return float((predicted == labels.to(predicted.device, predicted.dtype)).float().mean())
