"""What QUEEN does before the first query: centroids, map, clusters, shadows.

All of it comes from the victim and its own training set, once.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from queen_ref.checks import check_images, check_kind, check_labels, check_number
from queen_ref.models import Shape, Victim, device_of, dtype_of, shape_of, try_victim
from queen_ref.modes import evaluating
from queen_ref.queen.config import QueenConfig
from queen_ref.queen.features import (
    Clusters,
    FeatureMap,
    class_means,
    extract_features,
    find_clusters,
    fit_feature_map,
)
from queen_ref.queen.held_out import Drift, HeldOut, check_held_out
from queen_ref.queen.hidden import check_key, key_of
from queen_ref.queen.query import Query
from queen_ref.queen.sensitivity import SensitivityLedger
from queen_ref.queen.shadows import ShadowEnsemble


@dataclass(frozen=True)
class Parts:
    """The fitted parts: image shape (C, H, W), centroids mu (K, D), m, c_k and rho_k, shadows.

    And what is known of held-out images, if there were any, and the key of hidden answers.
    """

    shape: Shape
    centroids: Tensor
    feature_map: FeatureMap
    clusters: Clusters
    shadows: ShadowEnsemble
    held_out: HeldOut | None = None
    key: bytes = field(default=key_of(0), repr=False)

    def blank_ledger(self, config: QueenConfig) -> SensitivityLedger:
        """An empty ledger over the clusters, by the rules of `config`.

        >>> queen.parts.blank_ledger(config).num_classes
        10
        """
        return SensitivityLedger(
            self.clusters.centers,
            self.clusters.radii,
            spacing=config.spacing,
            threshold=config.threshold,
            alpha=config.alpha,
            beta=config.beta,
            units=config.units,
        )

    def drift(self, config: QueenConfig) -> Drift | None:
        """The gate by the rules of `config`; `None` where it wants none.

        Errors: `ValueError` where nothing is known of held-out images.

        >>> queen.parts.drift(qr.QueenConfig()) is None
        True
        """
        if config.gate is None:
            return None
        if self.held_out is None:
            raise ValueError("gate: expected a QUEEN that was fitted with held_out, got none")
        return self.held_out.drift(config)


def prepare(
    victim: Victim,
    images: Tensor,
    labels: Tensor,
    config: QueenConfig,
    seed: int = 0,
    held_out: Tensor | None = None,
    key: bytes | None = None,
) -> Parts:
    """Fit the parts of `Queen` to a victim; arguments and errors as for `Queen.fit`.

    >>> parts = prepare(victim, train_images, train_labels, QueenConfig(), seed=0)
    >>> parts.centroids.shape
    torch.Size([10, 128])
    """
    check_images(images)
    check_number("seed", seed, low=0, integer=True)
    seed = int(seed)
    key = key_of(seed) if key is None else check_key(key)
    if held_out is not None:
        check_held_out(held_out, shape_of(images), images.dtype)
    elif config.gate is not None:
        raise ValueError("gate: expected held_out, images that the victim has not seen, got none")
    wanted = dtype_of(victim, images.dtype)
    if wanted not in (torch.float32, torch.float64):
        raise ValueError(
            f"victim: expected float32 or float64, got {wanted}; autocast inside it will do"
        )
    check_kind("images", images, dtype=wanted)
    device = device_of(victim, images.device)
    num_classes = try_victim(victim, images[:2].to(device))
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
    sample = features, labels
    if config.stats_size is not None and config.stats_size < len(images):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        rows = order[: config.stats_size].to(device)
        sample = features[rows], labels[rows]
    clusters = find_clusters(feature_map(sample[0]), sample[1], num_classes)
    seen = None
    if held_out is not None:
        with torch.no_grad(), evaluating(victim, feature_map):
            query = Query.of(held_out.to(device), victim, feature_map, images.dtype)
        seen = HeldOut.of(query, clusters)
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
    return Parts(shape_of(images), centroids, feature_map, clusters, shadows, seen, key)
