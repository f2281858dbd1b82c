"""What the defences of these tests are made of: fitted once for all files."""

import copy

import pytest
import torch

import queen_ref as qr
from queen_ref.defenses.adaptive_misinformation import (
    train_misinformation,
)
from queen_ref.defenses.outlier_exposure import train_outlier_exposed

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=10)


@pytest.fixture(scope="session")
def parts():
    """The smoke data, a victim, and what the defences are made of."""
    data = qr.data.load("smoke", seed=0)
    victim = qr.models.build("small_cnn", data.shape, 10, seed=0)
    qr.training.fit(victim, *data.train, qr.Recipe(epochs=3), seed=0)
    images, labels = (part[:100] for part in data.train)
    return {
        "data": data,
        "images": images,
        "labels": labels,
        "victim": victim.requires_grad_(False),
        "queen": qr.Queen.fit(victim, *data.train, EAGER, seed=0, held_out=data.test[0]),
        "outlier_exposed": train_outlier_exposed(*data.train, 10, qr.Recipe(epochs=3), seed=0),
        "misinformation": train_misinformation(*data.train, 10, qr.Recipe(epochs=2), seed=0),
    }


@pytest.fixture(scope="session")
def images(parts):
    """Sure ones and unsure ones: MNIST, other digits, noise."""
    return torch.cat([pool[:25] for pool in parts["data"].pools.values()])


@pytest.fixture(scope="session")
def double(parts):
    """The parts in double precision, where rounding moves no query over a border."""
    names = ("victim", "outlier_exposed", "misinformation")
    models = {name: copy.deepcopy(parts[name]).double() for name in names}
    images, labels = (part[:300] for part in parts["data"].train)
    held_out = parts["data"].test[0].double()
    train = images.double(), labels
    queen = qr.Queen.fit(models["victim"], *train, EAGER, seed=0, held_out=held_out)
    few = {"images": images[:100].double(), "labels": labels[:100]}
    return {**models, "queen": queen, **few}
