"""A thief who knows all that any attack could need, and the defence he meets. Not a test module."""

from dataclasses import replace

import numpy as np
import torch

import queen_ref as qr
from queen_ref.attacks import Knowledge, Sizes, steal
from queen_ref.attacks.flags import LEARNED_NOTHING
from queen_ref.training import SUBSTITUTE

BUDGET = 45
POOL = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TINY = Sizes(
    recipe=replace(SUBSTITUTE, epochs=2, batch_size=16),
    shadow_nets=2,
    shadow_epochs=1,
    table=200,
    recovery_epochs=2,
    recovery_steps=4,
    jbda_seeds=12,
    query_batch=20,
)


class Blur:
    """A stand-in defence: half of the way to the uniform answer."""

    stateful = False

    def __init__(self, victim):
        self.victim, self.simulated = victim, 0

    @torch.no_grad()
    def __call__(self, images):
        return self.simulate(images, self.victim(images).softmax(1))

    def simulate(self, images, probs):
        self.simulated += len(images)
        return (probs + 1 / probs.shape[1]) / 2

    def fresh(self):
        return self


def victim_of(num_classes):
    return qr.models.build("small_cnn", (1, 8, 8), num_classes, seed=9).eval()


def everything(victim, pool=POOL):
    """A thief who knows all that any attack could need."""
    classes = victim.num_classes
    labels = torch.arange(len(pool)) % classes
    clean = lambda x: qr.metrics.predict(victim, x)  # noqa: E731
    return Knowledge(Blur(victim), labels, clean, codebook=lambda: Blur(victim))


def run(attack, policy, classes=3, seed=0, **changes):
    victim = victim_of(classes)
    pool = POOL if classes <= len(POOL) else POOL.repeat(2, 1, 1, 1)
    api = qr.BlackBox(Blur(victim))
    sizes = replace(TINY, **changes)
    return steal(api, pool, BUDGET, policy, attack, everything(victim, pool), sizes, seed), api


def equal(one, other):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def simplex(rows, classes, seed):
    rows = np.random.default_rng(seed).dirichlet([0.5] * classes, size=rows)
    return torch.from_numpy(rows).float()


def flags(theft):
    """All but what the luck of so tiny a training decides."""
    return [flag for flag in theft.flags if flag != LEARNED_NOTHING]
