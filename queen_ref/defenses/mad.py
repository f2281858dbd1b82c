"""MAD-argmax (Orekondy et al., 2020): turn the thief's gradient as far as the label allows.

The defender imagines a thief: a proxy network with random weights, softmax p and features phi.
An answer y makes the proxy's last layer move along G^T y, where row k of G is the gradient of
-log p_k. MAD looks for the answer whose direction is farthest from the honest one,

    max_v  || G^T v / |G^T v|  -  G^T y / |G^T y| ||^2   =   2 - 2 cos(G^T v, G^T y),

over the 0/1 vertices v that contain the label, then goes from y towards v until the L1 budget
is spent.

The gradient of -log p_k with respect to the last layer is (p - e_k) phi^T. For a v that sums
to 1 therefore G^T v = (p - v) phi^T, and phi drops out of the cosine:

    cos(G^T v, G^T y) = cos(p - v, p - y).

So no gradient is ever computed, and all vertices of a batch are two matmuls.
"""

import torch
from torch import Tensor, nn

from queen_ref.checks import check_number
from queen_ref.defenses.base import Defense
from queen_ref.models import Model, build, dtype_of, probabilities, shape_of

ALL_VERTICES = 10  # up to so many classes every vertex is looked at: 2^9 hold the label
EVALUATIONS = 1024  # of the objective per query above that
TINY = 1e-12


class MAD(Defense):
    """y moved towards the vertex that turns the imagined thief farthest.

    Arguments: `epsilon`, the L1 budget; `proxy`, a model with the victim's inputs and classes;
    by default a small CNN with random weights, made from `seed` at the first query.

    >>> probs = MAD(victim, epsilon=1.0, seed=0)(images)
    """

    name = "mad"
    keeps_label = True
    copy_flags = ("his copy holds the defender's own proxy",)

    def __init__(
        self,
        victim: Model,
        proxy: nn.Module | None = None,
        epsilon: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(victim)
        check_number("epsilon", epsilon, low=0, high=2, above=True)
        self.l1_bound = self.epsilon = epsilon
        check_number("seed", seed, low=0, integer=True)
        self.proxy, self.seed = proxy, int(seed)

    def answer(self, images: Tensor, probs: Tensor) -> Tensor:
        if self.proxy is None:
            proxy = build("small_cnn", shape_of(images), probs.shape[1], self.seed)
            self.proxy = proxy.to(images.device, images.dtype).eval()
        guess = probabilities(self.proxy(images.to(dtype_of(self.proxy, images.dtype)))).to(probs)
        if guess.shape != probs.shape:
            raise ValueError(f"probs: expected {guess.shape[1]} classes, got {probs.shape[1]}")
        return toward(probs, farthest_vertex(probs, guess), self.epsilon)

    def __repr__(self) -> str:
        return f"MAD(epsilon={self.epsilon})"


def farthest_vertex(probs: Tensor, proxy_probs: Tensor) -> Tensor:
    """The vertex with the largest angle to the honest gradient: (B, K), (B, K) -> (B, K).

    Rows are uniform over a set of classes that holds the label. Exact for K <= 10; above,
    greedy: the class that turns farthest joins, and the best set on the way is taken.

    Angles are computed in double precision: two that differ in the eighth digit should not
    swap places with the size of the batch.
    """
    label, dtype = probs.argmax(1), probs.dtype
    probs, proxy_probs = probs.double(), proxy_probs.double()
    if probs.shape[1] <= ALL_VERTICES:
        vertices = all_vertices(probs.shape[1]).to(probs)  # (M, K)
        cosines = cosine(probs, proxy_probs, vertices)  # (B, M)
        allowed = vertices[:, label].T > 0
        return vertices[torch.where(allowed, cosines, torch.inf).argmin(1)].to(dtype)
    return greedy_vertex(probs, proxy_probs, label).to(dtype)


def all_vertices(num_classes: int) -> Tensor:
    """Every non-empty set of classes as a uniform distribution: (2^K - 1, K).

    >>> all_vertices(2)
    tensor([[1.0000, 0.0000],
            [0.0000, 1.0000],
            [0.5000, 0.5000]])
    """
    numbers = torch.arange(1, 2**num_classes)
    members = (numbers[:, None] >> torch.arange(num_classes)) & 1
    return members / members.sum(1, keepdim=True)


def cosine(probs: Tensor, proxy_probs: Tensor, vertices: Tensor) -> Tensor:
    """cos(p - v, p - y) of every query with every vertex: (B, K), (B, K), (M, K) -> (B, M)."""
    honest = proxy_probs - probs
    dot = (honest * proxy_probs).sum(1, keepdim=True) - honest @ vertices.T
    squares = (proxy_probs**2).sum(1, keepdim=True) - 2 * proxy_probs @ vertices.T
    length = (squares + (vertices**2).sum(1)).clamp_min(TINY).sqrt()
    return dot / (length * honest.norm(dim=1, keepdim=True).clamp_min(TINY))


def greedy_vertex(probs: Tensor, proxy_probs: Tensor, label: Tensor) -> Tensor:
    """The label, then always the class that turns farthest, until enough sets were tried.

    The angle may shrink on the way and grow again: the best set of the way is returned.
    """
    classes = probs.shape[1]
    honest = proxy_probs - probs
    length, own = (proxy_probs**2).sum(1, keepdim=True), (honest * proxy_probs).sum(1, keepdim=True)
    members = torch.zeros_like(probs).scatter_(1, label[:, None], 1.0)
    chosen, best = members, torch.full_like(own, torch.inf)
    size, tried = 1, 0
    while tried < EVALUATIONS and size < classes:
        tried, size = tried + classes - size, size + 1
        # v is uniform over the members and class j, for all j at once (B, K). The length of the
        # honest gradient is the same for every v: leave it out.
        overlap = ((honest * members).sum(1, keepdim=True) + honest) / size
        cross = ((proxy_probs * members).sum(1, keepdim=True) + proxy_probs) / size
        score = (own - overlap) / (length - 2 * cross + 1 / size).clamp_min(TINY).sqrt()
        found, joins = score.masked_fill(members > 0, torch.inf).min(1, keepdim=True)
        members = members.scatter(1, joins, 1.0)
        chosen = torch.where(found < best, members, chosen)
        best = torch.minimum(found, best)
    return chosen / chosen.sum(1, keepdim=True)


def toward(probs: Tensor, vertex: Tensor, epsilon: float) -> Tensor:
    """From y towards v as far as ||y' - y||_1 <= epsilon: (B, K), (B, K) -> (B, K).

    At v itself the label would share its place: the walk ends a thousandth of the way before.
    """
    way = vertex - probs
    length = way.abs().sum(1, keepdim=True)
    share = (epsilon / length.clamp_min(TINY)).clamp_max(1 - 1e-3)
    return probs + share * way
