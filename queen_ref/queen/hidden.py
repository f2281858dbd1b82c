"""Hidden reversal, ours: a lie that has the face of an honest answer.

The paper's reversed answer shows itself: an exact zero where the label was, and probabilities less
sure than others. Whoever sees that leaves those answers out and has lost nothing else. Here the
client gets the numbers of the answer a that he would have had without reversal, in the order of an
answer about a false class f. With z the logits, k the label, z(mu_j) the logits of a centroid,

    z' = z - z(mu_k) + z(mu_f) ,    y'_j = the r-th largest number of a, where j has rank r in z' ,

f first of all. It is what the victim might say of an image that deviates from f as this one does
from k.

1. The probabilities are the same numbers in another order, sorted(y') = sorted(a): there is no zero
   and no lower confidence, and nothing that is read off the sorted answer alone tells it from a.
2. Another class leads, argmax y' = f != k, unless others share the lead in a.
3. The gradient still points away from the label. A substitute that says p has the logit gradient
   p - y', and one step of length eta moves its margin z_k - z_f by

       - eta ( (y'_f - y'_k) + (p_k - p_f) ),   honest:  + eta ( (a_k - a_f) - (p_k - p_f) ).

   While it thinks both classes alike, p_k = p_f, the margin falls, y'_f being the largest number;
   the sooner it has learned the label, the harder it is pushed back. No shadow is asked: nobody
   has to guess p.

"swapped" is the plainer form, and shows why the others have to move, too: only the entries of k and
f are exchanged, so that y'_k = a_f and 3. is exactly the opposite of the honest move. But what the
victim finds similar to k is left standing behind f, and tells k to whoever has honest answers to
learn from.

Which class is f? One drawn anew for each query would be outvoted by the neighbours, and one for
each class, a permutation, is undone by whoever renames the classes. So f is drawn for each *region*
of the map: a square of the grid of side `region_side` * s_k around c_k, by a keyed hash

    f = k + 1 + h mod (K - 1)   (mod K),    h = blake2b(key; k, column, row) .

Neighbours agree, other regions do not, and without the key nobody can tell what the next one says.
A client's name is no part of it: two accounts of one thief must not contradict each other.
"""

import hashlib

import torch
from torch import Tensor

from queen_ref.checks import check_number

SHORTEST, LONGEST = 16, 64  # bytes of a key; blake2b takes no longer one


def key_of(seed: int) -> bytes:
    """A key that comes again with the seed, for experiments. Who deploys draws one in secret.

    >>> len(key_of(0)), key_of(0) == key_of(1)
    (16, False)
    """
    return hashlib.blake2b(f"hidden answers, seed {seed}".encode(), digest_size=16).digest()


def check_key(key: object) -> bytes:
    """Demand 16 to 64 bytes, as `secrets.token_bytes(16)` draws them.

    >>> check_key(b"secret")
    Traceback (most recent call last):
    ValueError: key: expected 16 to 64 bytes, got 6
    """
    if not isinstance(key, bytes):
        raise ValueError(f"key: expected 16 to 64 bytes, got {type(key).__name__}")
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"key: expected {SHORTEST} to {LONGEST} bytes, got {len(key)}")
    return key


def false_classes(
    points: Tensor, labels: Tensor, centers: Tensor, sides: Tensor, key: bytes
) -> Tensor:
    """f (B,) of queries at map points (B, 2) with labels k (B,): never k, one for each region.

    Arguments: `centers` c_k (K, 2), K >= 2; `sides` (K,), of a region of each class, as lengths. A
    class of side 0 has one region. The same for the same place in any batch.

    >>> places = queen.centroids.new_zeros(2, 2), torch.tensor([3, 3])
    >>> f, g = false_classes(*places, centers, radii, key=b"a key of 16 byte")
    >>> f == g, f == 3
    (tensor(True), tensor(False))
    """
    classes = len(centers)
    side = sides.double()[labels][:, None]
    away = points.double() - centers.double()[labels]
    cells = torch.where(side > 0, away / side, 0.0).floor().long()
    places = torch.cat([labels[:, None], cells], 1)
    regions, which = places.unique(dim=0, return_inverse=True)
    steps = [1 + _hashed(region, key) % (classes - 1) for region in regions.tolist()]
    return (labels + torch.tensor(steps, device=labels.device)[which]) % classes


def _hashed(region: list[int], key: bytes) -> int:
    words = "/".join(map(str, region)).encode()
    return int.from_bytes(hashlib.blake2b(words, key=key, digest_size=8).digest())


def swap(probs: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """Rows (B, K) with the entries of two classes (B,), (B,) exchanged.

    >>> swap(torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([0]), torch.tensor([2]))
    tensor([[0.1000, 0.2000, 0.7000]])
    """
    pair = torch.stack([labels, others], 1)
    return probs.scatter(1, pair, probs.gather(1, pair.flip(1)))


def dress(
    probs: Tensor, logits: Tensor, labels: Tensor, others: Tensor, class_logits: Tensor
) -> Tensor:
    """The numbers of each row (B, K) in the order of an answer about another class.

    Arguments: `logits` z (B, K); `labels` k and `others` f (B,); `class_logits` (K, K), row j the
    logits z(mu_j).

    >>> a, f = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([2])
    >>> dress(a, a.log(), torch.tensor([0]), f, 5 * torch.eye(3))
    tensor([[0.1000, 0.2000, 0.7000]])
    """
    moved = logits - class_logits[labels] + class_logits[others]
    order = moved.scatter(1, others[:, None], torch.inf).argsort(
        dim=1, descending=True, stable=True
    )
    return torch.zeros_like(probs).scatter(1, order, probs.sort(1, descending=True).values)


def sides_of(sensitive: Tensor, region_side: float) -> Tensor:
    """The sides (K,) of the regions of discs with radius s_k (K,).

    >>> sides_of(torch.tensor([2.0, 0.0]), region_side=0.5)
    tensor([1., 0.])
    """
    check_number("region_side", region_side, low=0, above=True)
    return region_side * sensitive
