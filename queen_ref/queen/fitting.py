"""What QUEEN does before the first query: centroids, map, clusters, shadows.

All of it comes from the victim and its own training set, once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from queen_ref.checks import check_images, check_labels, check_number
from queen_ref.queen.config import QueenConfig
from queen_ref.queen.features import (
    Clusters,
    FeatureMap,
    class_means,
    extract_features,
    find_clusters,
    fit_feature_map,
    module_device,
)
from queen_ref.queen.shadows import ShadowEnsemble


@dataclass(frozen=True)
class Parts:
    """The fitted parts: image shape (C, H, W), centroids mu (K, D), m, c_k and rho_k, shadows."""

    shape: tuple[int, int, int]
    centroids: Tensor
    feature_map: FeatureMap
    clusters: Clusters
    shadows: ShadowEnsemble


def prepare(victim, images: Tensor, labels: Tensor, config: QueenConfig, seed: int = 0) -> Parts:
    """Fit the parts of `Queen` to a victim; arguments and errors as for `Queen.fit`.

    >>> parts = prepare(victim, train_images, train_labels, QueenConfig(), seed=0)
    >>> parts.centroids.shape
    torch.Size([10, 128])
    """
    check_images(images)
    check_number("seed", seed, low=0, integer=True)
    if isinstance(victim, nn.Module):
        victim.eval()
        check_images(images, dtype=next((p.dtype for p in victim.parameters()), images.dtype))
    device = module_device(victim, images.device)
    num_classes = _classes(victim, images[:2].to(device))
    check_labels(labels, len(images), num_classes)
    labels = labels.to(device).long()
    class_means(labels[:, None].to(images.dtype), labels, num_classes)  # every class is there

    features = extract_features(victim, images)
    feature_map, _ = fit_feature_map(
        features,
        labels,
        num_layers=config.map_layers,
        step_down=config.map_step_down,
        temperature=config.map_temperature,
        normalize=config.map_normalize,
        optimizer=config.map_optimizer,
        lr=config.map_lr,
        epochs=config.map_epochs,
        batch_size=config.map_batch,
        seed=seed,
    )
    centroids = class_means(features, labels, num_classes)
    rows = slice(None)
    if config.stats_size is not None and config.stats_size < len(images):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        rows = order[: config.stats_size].to(device)
    clusters = find_clusters(feature_map(features[rows]), labels[rows], num_classes)
    shadows = ShadowEnsemble.fit(
        images,
        labels.to(images.device),
        num_classes,
        count=config.shadows,
        arch=config.shadow_arch,
        seed=seed,
        device=device,
        stop_at=config.shadow_accuracy,
        epochs=config.shadow_epochs,
        batch_size=config.shadow_batch,
        lr=config.shadow_lr,
    )
    return Parts(tuple(images.shape[1:]), centroids, feature_map, clusters, shadows)


@torch.no_grad()
def _classes(victim, images: Tensor) -> int:
    """K, after a look at whether the victim is one."""
    for name in ("features", "head"):
        if not callable(getattr(victim, name, None)):
            raise ValueError(f"victim: expected a method .{name}, see queen_ref.models.Classifier")
    features = victim.features(images)
    logits = victim.head(features)
    if features.ndim != 2 or logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            "victim: expected features (B, D) and logits (B, K) with K >= 2, "
            f"got {tuple(features.shape)} and {tuple(logits.shape)}"
        )
    return logits.shape[1]
