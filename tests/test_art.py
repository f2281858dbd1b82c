"""An outside client, the Adversarial Robustness Toolbox, steals through a `BlackBox`.

Neither side knows the other: ART asks for numpy arrays, the box answers tensors, and the
whole adapter is one line.
"""

import warnings

import numpy as np
import pytest
import torch

import queen_ref as qr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what ART imports
    from art.attacks.extraction import CopycatCNN, KnockoffNets
    from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier

BUDGET = 250
ATTACKS = {
    "KnockoffNets": lambda victim: KnockoffNets(
        victim, 64, 64, nb_epochs=6, nb_stolen=BUDGET, use_probability=True, verbose=False
    ),
    "CopycatCNN": lambda victim: CopycatCNN(victim, 64, 64, nb_epochs=6, nb_stolen=BUDGET),
}


@pytest.fixture(scope="module")
def data():
    return qr.data.load("smoke", seed=0)


@pytest.fixture(scope="module")
def victim(data):
    victim = qr.models.build(data.model, data.shape, data.num_classes, seed=0)
    qr.training.fit(victim, *data.train, epochs=6, seed=0)
    return victim


def as_art(api, data):
    """The adapter: what ART calls a classifier, in front of an API."""
    return BlackBoxClassifier(
        lambda x: api(torch.from_numpy(x).float()).numpy(), data.shape, data.num_classes, (0, 1)
    )


def steal(name, api, data):
    """ART's attack with a small CNN as the thief's model; returns the model."""
    np.random.seed(0)  # ART draws its queries from numpy's global generator
    torch.manual_seed(0)
    model = qr.models.build("small_cnn", data.shape, data.num_classes, seed=1)
    thief = PyTorchClassifier(
        model,
        torch.nn.CrossEntropyLoss(),
        data.shape,
        data.num_classes,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        clip_values=(0, 1),
        device_type="cpu",
    )
    attack = ATTACKS[name](as_art(api, data))
    attack.extract(data.pools["mnist"].numpy(), thieved_classifier=thief)
    return model.eval()


@pytest.mark.parametrize("name", ATTACKS)
def test_art_steals_an_undefended_victim(name, victim, data):
    api = qr.BlackBox(qr.NoDefense(victim), budget=BUDGET)
    substitute = steal(name, api, data)
    assert api.queries == BUDGET
    assert qr.metrics.fidelity(substitute, victim, data.test[0]) > 0.7


def test_art_cannot_ask_more_than_the_budget(victim, data):
    api = qr.BlackBox(qr.NoDefense(victim), budget=BUDGET - 1)
    with pytest.raises(qr.BudgetExceeded):
        steal("CopycatCNN", api, data)
    assert api.queries < BUDGET


def test_queen_remembers_what_art_asked(victim, data):
    config = qr.QueenConfig(map_epochs=2, shadows=1, shadows_per_query=1, shadow_epochs=1)
    queen = qr.Queen.fit(victim, *data.train, config, seed=0)
    api = qr.BlackBox(queen, budget=BUDGET)
    steal("KnockoffNets", api, data)
    counts = queen.report()
    assert counts["queries"] == api.queries == BUDGET
    assert 0 < counts["recorded"] <= counts["inside"]
