"""Fit a classifier on hard labels or on somebody else's probabilities.

Both are one loss, the soft cross-entropy

    L(x, t) = - sum_k  t_k  log softmax(f(x))_k ,

whose gradient with respect to the logits is softmax(f(x)) - t. A hard label is the one-hot t.
That difference is all a thief learns from an answer, and all a defence can turn around.

One code for every device. The images stay where they are, on the GPU if they fit: batches are
rows of one tensor, there is no loader to wait for, and the loss is read once an epoch. On a GPU
a step is recorded and replayed, see `queen_ref.training.cuda_graph`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, StepLR

from queen_ref.checks import (
    are_probabilities,
    check_choice,
    check_images,
    check_kind,
    check_labels,
    check_logits,
    check_number,
    check_probabilities,
)
from queen_ref.models import Classifier
from queen_ref.modes import evaluating
from queen_ref.progress import progress
from queen_ref.training.augmentation import augment
from queen_ref.training.cuda_graph import GraphedStep, recorder_for
from queen_ref.training.recipe import DEFAULT, Recipe, check_recipe

PRECISIONS = ("auto", "float32", "bfloat16")


def fit(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    recipe: Recipe = DEFAULT,
    *,
    seed: int = 0,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
    desc: str = "training",
    second_loss: nn.Module | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    precision: str = "auto",
) -> list[float]:
    """Train `model` in place with SGD; return the mean loss of every epoch.

    Arguments: `images` (N, C, H, W); `targets` (N,) integers or (N, K) probabilities; `recipe`,
    all but its `model`, which is here already; `seed` of the shuffles and the augmentation;
    `after_epoch(epoch, model)`, called after each one; `desc`, the words at the progress bar;
    `second_loss(model)`, added at every step, its own weights trained along;
    `loss(logits, targets)` in place of the cross-entropy; `precision` of the forward pass,
    "float32", "bfloat16" (weights and loss stay float32) or "auto": bfloat16 on a GPU. Batches
    move to the model's device.
    Errors: `ValueError`, before the first step, for images, targets or settings that do not fit,
    and for a model that answers anything but logits of the targets' classes.

    >>> model = qr.models.build("small_cnn", (1, 28, 28), num_classes=10, seed=0)
    >>> losses = fit(model, images, labels, Recipe(epochs=5), seed=0)
    """
    check_images(images)
    soft = isinstance(targets, Tensor) and targets.is_floating_point()
    if soft:
        check_probabilities("targets", targets)
    else:
        # Of another module the name may mean anything: its first logits tell.
        known = getattr(model, "num_classes", None) if isinstance(model, Classifier) else None
        check_labels(targets, len(images), known)
        targets = targets.long()
    if len(targets) != len(images):
        raise ValueError(f"targets: expected {len(images)} rows, got {len(targets)}")
    check_recipe(recipe)
    check_choice("precision", precision, PRECISIONS)
    check_number("seed", seed, low=0, integer=True)

    weight = next(model.parameters())
    device = weight.device
    half = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    if not half:
        check_kind("images", images, dtype=weight.dtype)
    classes = targets.shape[1] if soft else int(targets.max()) + 1
    weights = [*model.parameters(), *(second_loss.parameters() if second_loss is not None else ())]
    optimizer = torch.optim.SGD(
        weights, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    scheduler = make_schedule(optimizer, recipe.schedule, recipe.epochs)
    shuffle = torch.Generator().manual_seed(int(seed))
    model.to(memory_format=torch.channels_last)  # convolutions train a third faster that way
    total = torch.zeros((), device=device)
    plain = loss is F.cross_entropy
    if plain:  # a look at a few logits before anything moves, running averages included
        few = images[:8].to(device)
        with torch.no_grad(), evaluating(model), torch.autocast(device.type, torch.bfloat16, half):
            check_first(model(few), len(few), classes, exactly=soft)

    def step(batch: Tensor, target: Tensor) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            logits = model(batch)
            extra = second_loss(model) if second_loss is not None else 0.0
        if half:
            logits = logits.float()  # a difference of probabilities needs its digits
        step_loss = loss(logits, target) + extra  # soft or hard: one call
        optimizer.zero_grad()
        step_loss.backward()
        optimizer.step()
        total.add_(step_loss.detach() * len(batch))

    # A second loss draws at random, another loss may wait for a result: neither can be recorded.
    recorder = recorder_for(device) if plain and second_loss is None else None
    graphed = GraphedStep(step, recorder) if recorder is not None else None
    take_step = graphed or step
    losses = []
    for epoch in progress(range(recipe.epochs), desc=desc):
        model.train()
        total.zero_()
        for rows in batches(len(images), recipe.batch_size, shuffle, images.device):
            batch, target = images[rows].to(device), targets[rows.to(targets.device)].to(device)
            if recipe.augment:
                batch = augment(batch, shuffle)
            take_step(batch, target)
        rates = scheduler.get_last_lr()
        scheduler.step()
        if graphed is not None and scheduler.get_last_lr() != rates:
            optimizer.zero_grad()
            graphed.forget()
        losses.append(float(total) / len(images))
        model.eval()
        if after_epoch is not None:
            after_epoch(epoch, model)
    model.eval()  # whatever the last `after_epoch` did
    model.to(memory_format=torch.contiguous_format)
    return losses


def check_first(logits: object, count: int, classes: int, exactly: bool) -> None:
    """Demand logits (count, K) that the targets' classes fit: K of them, or as many at most.

    >>> check_first(torch.zeros(2, 3), count=2, classes=4, exactly=False)
    Traceback (most recent call last):
    ValueError: model: expected 4 classes or more, as the targets have, got 3
    """
    check_logits(logits, count)
    assert isinstance(logits, Tensor)
    if logits.shape[1] < classes or (exactly and logits.shape[1] != classes):
        raise ValueError(
            f"model: expected {classes} classes{'' if exactly else ' or more'}, "
            f"as the targets have, got {logits.shape[1]}"
        )
    if count > 1 and are_probabilities(logits):
        raise ValueError("model: expected logits, got probabilities: leave the softmax out")


def batches(
    count: int,
    batch_size: int,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, ...]:
    """Shuffled rows 0..count-1, cut into batches; a last batch of one joins its neighbour.

    The shuffle is the CPU's, whatever the device, and moves there once.

    Batch norm cannot normalise one sample of a 1x1 map, so a lone sample never comes alone.
    """
    rows = list(torch.randperm(count, generator=generator).to(device).split(int(batch_size)))
    if len(rows) > 1 and len(rows[-1]) == 1:
        rows[-2:] = [torch.cat(rows[-2:])]
    return tuple(rows)


def make_schedule(optimizer: torch.optim.Optimizer, schedule: str, epochs: int) -> LRScheduler:
    """The learning rate over the epochs: "cosine", "step" or "constant", as in a `Recipe`."""
    if schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=epochs)
    if schedule == "step":
        return StepLR(optimizer, step_size=10, gamma=0.5)
    return ConstantLR(optimizer, factor=1.0)
