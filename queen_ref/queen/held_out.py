"""What honest queries look like: measured on held-out images, at fit.

The gate needs to know what is usual, and the training images do not tell: victim and map were
trained on them, and more of them fall inside their regions than of new images. So the owner keeps
some images back, from which the victim has learned nothing, and QUEEN remembers two numbers of
each,

    log( y_k / (1 - y_k) ),    how sure the victim is, finite where y_k rounds to one, and
    d / rho_k,                 how far from the center, in mean distances: inside is < beta.

"confidence" takes as usual whatever is surer than their median, "inside" whatever is inside. The
honest rate p_0 is the share of held-out images that are as usual, less two standard errors of a
share of m images:

    p_0 = share - 2 sqrt( share (1 - share) / m ),      p_1 = ratio * p_0 .

A lower p_0 is the careful one, for the gate's promise holds for every honest rate above it. It
fails for one sample of held-out images in fifty or so, and wherever honest clients' images are not
like those: moved, darkened, from another camera. To the gate they are foreign.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from queen_ref.checks import check_choice, check_floats, check_images
from queen_ref.queen.config import GATES, QueenConfig
from queen_ref.queen.features import Clusters
from queen_ref.queen.gate import Gate
from queen_ref.queen.query import Query

ERRORS = 2.0  # standard errors that p_0 stays below the share


def sureness(logits: Tensor) -> Tensor:
    """log(y_k / (1 - y_k)) of the leading class: logits (B, K) -> (B,).

    The same order as the largest probability, without its rounding to one.

    >>> sureness(torch.tensor([[0.0, 0.0], [50.0, 0.0]]))
    tensor([ 0., 50.])
    """
    top, label = logits.max(1, keepdim=True)
    return top[:, 0] - logits.scatter(1, label, -torch.inf).logsumexp(1)


def check_held_out(images: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Demand images like those of the training set, on whatever device.

    >>> check_held_out(torch.zeros(2, 1, 9, 9), shape=(1, 8, 8), dtype=torch.float32)
    Traceback (most recent call last):
    ValueError: held_out: images: expected shape (B, 1, 8, 8), got (2, 1, 9, 9)
    """
    try:
        check_images(images, shape, dtype)
    except ValueError as error:
        raise ValueError(f"held_out: {error}") from None


class HeldOut(NamedTuple):
    """Of m held-out images how sure the victim is of each (m,), and how deep it lies (m,).

    >>> held = HeldOut.of(query, clusters)
    >>> held.share("confidence", beta=1.0)
    0.5
    """

    sure: Tensor
    depth: Tensor

    @classmethod
    def of(cls, query: Query, clusters: Clusters) -> "HeldOut":
        """Look at held-out images as at a batch of queries.

        Errors: `ValueError` where the victim overflows at one of them.
        """
        check_floats("held_out: points", query.points)
        away = (query.points - clusters.centers.to(query.points)[query.labels]).norm(dim=1)
        radii = clusters.radii.to(away)[query.labels]
        depth = torch.where(radii > 0, away / radii, torch.finfo(away.dtype).max)
        sure = sureness(query.logits)
        check_floats("held_out: log-odds", sure)
        return cls(sure, depth)

    @property
    def cut(self) -> float:
        """The median of `sure`: surer than that is as usual."""
        return float(self.sure.double().quantile(0.5))

    def share(self, kind: str, beta: float) -> float:
        """The share of held-out images that are as usual."""
        check_choice("gate", kind, GATES)
        bits = self.sure > self.cut if kind == "confidence" else self.depth < beta
        return float(bits.double().mean())

    def drift(self, config: QueenConfig) -> "Drift":
        """The gate with these honest clients, by the rules of `config`.

        Errors: `ValueError` where too few held-out images are as usual to say anything.

        >>> HeldOut.of(query, clusters).drift(qr.QueenConfig(gate="confidence")).gate.usual < 0.5
        True
        """
        kind = str(config.gate)
        share = self.share(kind, config.beta)
        usual = share - ERRORS * (share * (1 - share) / len(self.sure)) ** 0.5
        if not 0 < usual < 1:
            raise ValueError(
                "gate: expected more held-out images, or a share of them as usual that is not 0 "
                f"or 1, got {share:.3g} of {len(self.sure)} ({kind})"
            )
        return Drift(kind, self.cut, Gate(usual, config.gate_ratio * usual, config.gate_alarm))

    def as_tensor(self) -> Tensor:
        """Both, (m, 2), to be saved."""
        return torch.stack(self, 1)

    @classmethod
    def from_tensor(cls, numbers: Tensor) -> "HeldOut":
        """What `as_tensor` gave. Errors: `ValueError` for anything else.

        >>> HeldOut.from_tensor(HeldOut.of(query, clusters).as_tensor()).sure.shape
        torch.Size([200])
        """
        check_floats("state: held_out", numbers)
        if numbers.ndim != 2 or numbers.shape[1] != 2 or len(numbers) == 0:
            raise ValueError(f"state: expected held_out (m, 2), got {tuple(numbers.shape)}")
        return cls(*numbers.unbind(1))


class Drift(NamedTuple):
    """The gate and what it looks at: its kind, the median for "confidence", Wald's test.

    >>> drift = HeldOut.of(query, clusters).drift(qr.QueenConfig(gate="confidence"))
    >>> drift.as_usual(query, inside=torch.ones(200).bool()).shape
    torch.Size([200])
    """

    kind: str
    cut: float
    gate: Gate

    def as_usual(self, query: Query, inside: Tensor) -> Tensor:
        """The gate's bits (B,) of a batch of which `inside` (B,) lies inside."""
        return sureness(query.logits) > self.cut if self.kind == "confidence" else inside
