"""A QUEEN that reverses soon, fitted once for all files."""

import copy
import dataclasses

import pytest
import torch
from sklearn.datasets import load_digits

import queen_ref as qr
from queen_ref.queen.held_out import HeldOut

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=15)


@pytest.fixture(scope="session")
def setting():
    """A victim of four classes of 8x8 digits, and a QUEEN that reverses soon."""
    pixels, labels = load_digits(n_class=4, return_X_y=True)
    images = torch.from_numpy(pixels[:400]).float().reshape(-1, 1, 8, 8) / 16
    labels = torch.from_numpy(labels[:400])
    victim = qr.models.build("small_cnn", (1, 8, 8), 4, seed=0)
    qr.training.fit(victim, images, labels, qr.Recipe(epochs=3), seed=0)
    return victim, images, labels, qr.Queen.fit(victim, images, labels, EAGER, seed=0)


@pytest.fixture
def queen(setting):
    setting[3].reset()
    return setting[3]


@pytest.fixture
def images(setting):
    return setting[1]


@pytest.fixture(scope="session")
def double(setting):
    """Images and a QUEEN in double precision, where rounding moves no query over a border."""
    victim, images, labels, _ = setting
    victim, images = copy.deepcopy(victim).double(), images.double()
    return images, qr.Queen.fit(victim, images, labels, EAGER, seed=0)


def knowing(queen, images):
    """The same QUEEN, had it been fitted with these images held out."""
    held_out = HeldOut.of(queen.look(images), queen.clusters)
    parts = dataclasses.replace(queen.parts, held_out=held_out)
    return qr.Queen(queen.victim, queen.config, queen.seed, parts)


@pytest.fixture
def gated(queen, images):
    """It hides what it says to those whom its gate accuses: noise after a few queries."""
    return knowing(queen, images[::2]).with_settings(answer="hidden", gate="confidence")


@pytest.fixture
def double_gated(double):
    """The same in double precision."""
    images, queen = double
    return knowing(queen, images[::2]).with_settings(answer="hidden", gate="confidence")
