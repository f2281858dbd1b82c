"""An outside client, the Adversarial Robustness Toolbox, steals through a `BlackBox`.

Neither side knows the other: ART asks for numpy arrays, the box answers tensors, and the
whole adapter is one line.
"""

import warnings

import numpy as np
import pytest
import torch
from blocks import CLASSES, Blocks, blocks

import queen_ref as qr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what ART imports
    from art.attacks.extraction import CopycatCNN, KnockoffNets
    from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier

BUDGET = 250
SHAPE = (1, 8, 8)
IMAGES, LABELS = blocks(BUDGET)
ATTACKS = {
    "KnockoffNets": lambda victim: KnockoffNets(
        victim, 64, 64, nb_epochs=6, nb_stolen=BUDGET, use_probability=True, verbose=False
    ),
    "CopycatCNN": lambda victim: CopycatCNN(victim, 64, 64, nb_epochs=6, nb_stolen=BUDGET),
}


def as_art(api):
    """The adapter: what ART calls a classifier, in front of an API."""
    return BlackBoxClassifier(
        lambda x: api(torch.from_numpy(x).float()).numpy(), SHAPE, CLASSES, (0, 1)
    )


def steal(name, api):
    """ART's attack with a small CNN as the thief's model; returns the model."""
    np.random.seed(0)  # ART draws its queries from numpy's global generator
    torch.manual_seed(0)
    model = qr.models.build("small_cnn", SHAPE, CLASSES, seed=1)
    thief = PyTorchClassifier(
        model,
        torch.nn.CrossEntropyLoss(),
        SHAPE,
        CLASSES,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        clip_values=(0, 1),
        device_type="cpu",
    )
    attack = ATTACKS[name](as_art(api))
    attack.extract(IMAGES.numpy(), thieved_classifier=thief)
    return model.eval()


@pytest.mark.parametrize("name", ATTACKS)
def test_art_steals_an_undefended_victim(name):
    api = qr.BlackBox(qr.NoDefense(Blocks()), budget=BUDGET)
    substitute = steal(name, api)
    assert api.queries == BUDGET
    # 1.0 with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert qr.metrics.fidelity(substitute, Blocks(), blocks(200, seed=1)[0]) > 0.7


def test_art_cannot_ask_more_than_the_budget():
    api = qr.BlackBox(qr.NoDefense(Blocks()), budget=BUDGET - 1)
    with pytest.raises(qr.BudgetExceeded):
        steal("CopycatCNN", api)
    assert api.queries < BUDGET


def test_queen_remembers_what_art_asked():
    config = qr.QueenConfig(map_epochs=2, shadows=1, shadows_per_query=1, shadow_epochs=1)
    queen = qr.Queen.fit(Blocks(), IMAGES, LABELS, config, seed=0)
    api = qr.BlackBox(queen, budget=BUDGET)
    steal("KnockoffNets", api)
    counts = queen.report()
    assert counts["queries"] == api.queries == BUDGET
    # ART asks for every training image: one of them is nearer to its center than the mean.
    assert 0 < counts["recorded"] <= counts["inside"]
