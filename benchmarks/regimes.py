"""QUEEN with every query of a batch forced into one regime.

- walk: no query is inside; every answer is perturbed;
- record: every query is inside and new; with an empty ledger, or with many points a class;
- reverse: every query is reversed. Its floor, the forwards that cannot be avoided, is one of
  the victim and k_s of a shadow per query;
- hide: every query is reversed with a hidden answer, each in a region of its own;
- gated: as walk, and every query is looked at by the drift gate.
"""

from collections.abc import Callable

import torch

import queen_ref as qr
from benchmarks.timing import pictures
from queen_ref.queen.client import Client

INSIDE = 1e3  # beta that puts every query inside
OUTSIDE = 1e-9  # beta that puts none inside
FINE = 1e-6  # spacing, as a share of s_k, that makes every query novel


class Regimes:
    """A victim of untrained weights, QUEEN fitted to it, and the tasks that are timed.

    >>> tasks = Regimes("small_cnn", (1, 28, 28), classes=10)
    >>> tasks.walk(images)(), tasks.bare(images)()
    """

    def __init__(self, name: str, shape: tuple, classes: int = 10, **settings):
        self.shape, self.classes = shape, classes
        images = pictures(shape, max(1024, 4 * classes))
        labels = torch.arange(len(images)) % classes
        self.victim = qr.models.build(name, shape, classes, seed=0).eval().requires_grad_(False)
        # Two epochs of the default map leave more images on one point than `record` bears.
        quick = qr.QueenConfig(
            map_epochs=2, map_normalize=True, shadow_epochs=1, shadow_accuracy=0.0, **settings
        )
        # For the price of a gate it does not matter that the victim has seen these.
        self.queen = qr.Queen.fit(self.victim, images, labels, quick, seed=0, held_out=images)
        self.prepared = images

    def bare(self, batch: torch.Tensor) -> Callable:
        return lambda: self.victim(batch).softmax(1)

    def floor(self, batch: torch.Tensor) -> Callable:
        shadow = self.queen.shadows.models[0]

        def run():
            self.victim(batch).softmax(1)
            for _ in range(self.queen.config.shadows_per_query):
                shadow(batch)

        return run

    def walk(self, batch: torch.Tensor) -> Callable:
        queen = self.queen.with_settings(beta=OUTSIDE)
        expect(queen, "w", batch, inside=0)
        return lambda: queen(batch, client="w")

    def gated(self, batch: torch.Tensor) -> Callable:
        never = dict(gate="confidence", gate_alarm=1e-300)  # once it had fired it would look away
        queen = self.queen.with_settings(beta=OUTSIDE, **never)
        expect(queen, "w", batch, reversed=0)
        return lambda: queen(batch, client="w")

    def record(self, batch: torch.Tensor, each: int = 0) -> Callable:
        """Every round starts from the same ledger: empty, or with `each` points a class."""
        queen = self.queen.with_settings(beta=INSIDE, spacing=FINE, threshold=1e9)
        if each:
            fill(queen, each)
        # The hardly trained map sends up to a sixth of the images to a point that another one has
        # taken. They are not recorded, but everything else is done for them too.
        expect(queen, "r", batch, inside=len(batch), forget=True)
        expect(queen, "r", batch, recorded=len(batch), forget=True, slack=0.2)
        return afresh(queen, batch, "r")

    def reverse(self, batch: torch.Tensor) -> Callable:
        queen = self.strict()
        expect(queen, "r", batch, reversed=len(batch), slack=0.2)
        return lambda: queen(batch, client="r")

    def hide(self, batch: torch.Tensor) -> Callable:
        queen = self.strict(answer="hidden", region_side=FINE)
        expect(queen, "r", batch, reversed=len(batch), slack=0.2)
        return lambda: queen(batch, client="r")

    def strict(self, **more) -> qr.Queen:
        """A threshold of 0, and one recorded point a class, which is enough to pass it."""
        queen = self.queen.with_settings(beta=INSIDE, spacing=FINE, threshold=0.0, **more)
        queen(self.prepared[-1:], client="r")
        ledger = queen.ledger("r")
        labels = torch.arange(self.classes)
        ledger.observe(ledger.centers + ledger.sensitive[:, None] / 2, labels)
        return queen


def fill(queen: qr.Queen, each: int, client: str = "r") -> None:
    """Record `each` random points of every class for a client."""
    queen(pictures(queen.shape, 1), client=client)
    ledger = queen.ledger(client)
    classes = ledger.num_classes
    spread = torch.randn(each * classes, 2, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(classes).repeat(each)
    points = ledger.centers[labels] + spread * queen.clusters.radii[labels, None]
    for part in zip(points.split(2000), labels.split(2000), strict=True):
        ledger.observe(*part)


def afresh(queen: qr.Queen, batch: torch.Tensor, client: str) -> Callable:
    """Ask, then forget."""
    known = queen.clients.setdefault(client, Client(queen.ledger(client)))
    start = known.ledger.snapshot()

    def run():
        queen(batch, client=client)
        known.ledger.restore(start)

    return run


def expect(
    queen: qr.Queen, client: str, batch: torch.Tensor, forget=False, slack: float = 0.0, **counts
) -> None:
    """Make sure that the regime is what its name says, but for a share `slack` of the batch."""
    before = queen.report(client)
    start = queen.ledger(client).snapshot()
    queen(batch, client=client)
    if forget:
        queen.ledger(client).restore(start)
    after = queen.report(client)
    for name, count in counts.items():
        found = after[name] - before[name]
        if abs(found - count) > slack * len(batch):
            raise RuntimeError(f"{name}: expected {count}, got {found}")
