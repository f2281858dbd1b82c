"""Where the victim's classes live: features, centroids, a learned 2-D map, clusters.

Before deployment QUEEN looks at the victim's own training set, once:

    phi(x)  features, the victim's penultimate layer                       R^D
    mu_k    = mean of phi(x) over class k, the centroid                    R^D
    m       an MLP R^D -> R^2, trained with the supervised contrastive loss
    c_k     = mean of m(phi(x)) over class k, the center                   R^2
    rho_k   = mean of ||m(phi(x)) - c_k|| over class k, the mean distance

Everything later is geometry around the c_k.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from queen_ref.checks import check_choice, check_floats, check_labels, check_number
from queen_ref.models import Victim, device_of
from queen_ref.modes import evaluating
from queen_ref.progress import progress
from queen_ref.training.fit import batches


@torch.no_grad()
def extract_features(victim: Victim, images: Tensor, batch_size: int = 512) -> Tensor:
    """phi(x) for many images: (N, C, H, W) -> (N, D), in batches, in eval mode.

    `victim` is anything with `.features`. Its mode is put back. Features come in the images'
    dtype, also from a victim that computes in half precision inside.

    >>> features = extract_features(victim, images)
    >>> features.shape
    torch.Size([200, 128])
    """
    check_number("batch_size", batch_size, low=1, integer=True)
    device = device_of(victim, images.device)
    batches_of = progress(images.split(int(batch_size)), desc="features")
    with evaluating(victim):
        features = [victim.features(batch.to(device)) for batch in batches_of]
    return torch.cat(features).to(images.dtype)


def class_means(points: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Mean of the points (N, D) of every class -> (K, D): centroids mu_k, or centers c_k.

    Errors: `ValueError` when a class has no sample, for then it has no mean.

    >>> class_means(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 1]), 2)
    tensor([[1.], [5.]])
    """
    check_floats("points", points)
    check_labels(labels, len(points), num_classes)
    labels = labels.long()
    counts = torch.bincount(labels, minlength=num_classes)
    if bool((counts == 0).any()):
        empty = (counts == 0).nonzero().flatten().tolist()
        raise ValueError(f"labels: expected a sample of every class, found none of {empty}")
    sums = points.new_zeros(num_classes, points.shape[1]).index_add_(0, labels, points)
    return sums / counts[:, None].to(points.dtype)


@dataclass(frozen=True)
class Clusters:
    """Centers c_k (K, 2) and mean distances rho_k (K,) of the mapped training features."""

    centers: Tensor
    radii: Tensor


def find_clusters(points: Tensor, labels: Tensor, num_classes: int) -> Clusters:
    """c_k = mean of class k, rho_k = mean distance to it; points (N, 2).

    A class with a single sample has rho_k = 0: its region is empty, nothing falls inside.

    >>> clusters = find_clusters(feature_map(features), labels, num_classes=10)
    """
    centers = class_means(points, labels, num_classes)
    distances = (points - centers[labels.long()]).norm(dim=1)
    return Clusters(centers, class_means(distances[:, None], labels, num_classes).flatten())


def map_widths(feature_dim: int, num_layers: int | None = None, step_down: int = 4) -> list[int]:
    """Layer widths of the map: divided by `step_down` at each layer, 2 at the end.

    Without `num_layers`, as many as it takes to come down to 2.

    >>> map_widths(512), map_widths(2048)
    ([512, 128, 32, 8, 2], [2048, 512, 128, 32, 8, 2])
    """
    check_number("feature_dim", feature_dim, low=1, integer=True)
    check_number("step_down", step_down, low=2, integer=True)
    if num_layers is None:
        num_layers = 1
        while feature_dim // step_down**num_layers > 2:
            num_layers += 1
    check_number("num_layers", num_layers, low=1, integer=True)
    hidden = [max(feature_dim // step_down**layer, 2) for layer in range(1, num_layers)]
    return [feature_dim, *hidden, 2]


class FeatureMap(nn.Module):
    """m: R^D -> R^2, an MLP with ReLU between its layers. Inputs are standardised first.

    >>> feature_map = FeatureMap([128, 32, 8, 2])
    >>> feature_map(torch.rand(5, 128)).shape
    torch.Size([5, 2])
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, widths: list[int]):
        super().__init__()
        self.widths = list(widths)
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        self.register_buffer("shift", torch.zeros(widths[0]))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers((features - self.shift) / self.scale)


def contrastive_loss(temperature: float = 0.07, normalize: bool = False) -> nn.Module:
    """The supervised contrastive loss (Khosla et al., 2020), by pytorch-metric-learning::

        L = mean_i  -1/|P(i)|  sum_{p in P(i)}  log  exp(z_i.z_p / tau)
                                                     --------------------------
                                                     sum_{a != i} exp(z_i.z_a / tau)

    P(i): the other samples of i's class in the batch. A class with one sample there has an
    empty P(i) and adds nothing. `normalize` divides z by its length first, as the loss's
    authors do; the released QUEEN code does not, and a map trained so has rounder classes.
    """
    # It takes seconds to import, and nothing else needs it.
    from pytorch_metric_learning.distances import CosineSimilarity, DotProductSimilarity
    from pytorch_metric_learning.losses import SupConLoss

    similarity = (
        CosineSimilarity() if normalize else DotProductSimilarity(normalize_embeddings=False)
    )
    return SupConLoss(temperature=temperature, distance=similarity)


def fit_feature_map(
    features: Tensor,
    labels: Tensor,
    num_layers: int | None = None,
    step_down: int = 4,
    temperature: float = 0.07,
    normalize: bool = False,
    optimizer: str = "adam",
    lr: float = 3e-3,
    epochs: int = 60,
    batch_size: int = 512,
    seed: int = 0,
) -> tuple[FeatureMap, list[float]]:
    """Train m on features (N, D) and labels (N,); return it with the mean loss per epoch.

    `optimizer` "adam", or "sgd" with the authors' momentum 0.9 and weight decay 1e-4 (theirs:
    lr 1e-4, 100 epochs, batches of 5000). `normalize`, see `contrastive_loss`.

    >>> feature_map, losses = fit_feature_map(features, labels, seed=0)
    >>> feature_map(features).shape
    torch.Size([200, 2])
    """
    check_floats("features", features)
    check_labels(labels, len(features))
    check_choice("optimizer", optimizer, ("adam", "sgd"))
    check_number("epochs", epochs, low=1, integer=True)
    check_number("lr", lr, low=0, above=True)
    check_number("seed", seed, low=0, integer=True)
    labels, seed = labels.long(), int(seed)

    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        feature_map = FeatureMap(map_widths(features.shape[1], num_layers, step_down))
    feature_map = feature_map.to(features.device, features.dtype)
    # One shift and one scale for all features: shapes stay, only the unit changes.
    feature_map.shift.copy_(features.mean(0))
    feature_map.scale.copy_((features - features.mean(0)).std().clamp_min(1e-6))

    loss_of = contrastive_loss(temperature, normalize)
    solver = make_solver(optimizer, feature_map, lr)
    shuffle = torch.Generator().manual_seed(seed)
    losses = []
    for _ in progress(range(epochs), desc="feature map"):
        total, seen = 0.0, 0
        for rows in batches(len(features), batch_size, shuffle):
            rows = rows.to(features.device)
            loss = loss_of(feature_map(features[rows]), labels[rows])
            solver.zero_grad()
            loss.backward()
            solver.step()
            total, seen = total + float(loss.detach()) * len(rows), seen + len(rows)
        losses.append(total / seen)
    return feature_map.eval().requires_grad_(False), losses


def make_solver(optimizer: str, feature_map: FeatureMap, lr: float) -> torch.optim.Optimizer:
    """ "adam", or "sgd" as the authors set it.

    >>> make_solver("sgd", feature_map, lr=1e-4).defaults["momentum"]
    0.9
    """
    if optimizer == "adam":
        return torch.optim.Adam(feature_map.parameters(), lr=lr)
    return torch.optim.SGD(feature_map.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
