"""The net that undoes a defence: its shape, how long it trains, what it learns."""

import torch
from thief import simplex
from torch import nn

from queen_ref.attacks import recovery_net
from queen_ref.attacks.recovery_net import LOOK, Plateau, apply, train_recovery
from queen_ref.attacks.recovery_net import recovery_net as net_of


def test_every_layer_is_followed_by_batch_norm_and_leaky_relu():
    # As published: linear, norm, LeakyReLU three times, then the softmax.
    kinds = [nn.Linear, nn.BatchNorm1d, nn.LeakyReLU]
    assert [type(layer) for layer in net_of(10)] == [*3 * kinds, nn.Softmax]
    assert [layer.out_features for layer in net_of(10) if isinstance(layer, nn.Linear)] == [
        128, 64, 10,
    ]  # fmt: skip


def test_the_recovery_net_undoes_a_simple_perturbation():
    clean, fresh = simplex(4000, 5, 0), simplex(500, 5, 1)

    def perturb(probs):
        return (probs + probs.roll(1, 1)) / 2

    net = train_recovery(clean, perturb(clean), epochs=30, steps=1500)
    before = (perturb(fresh) - fresh).abs().sum(1).mean()
    after = (apply(net, perturb(fresh)) - fresh).abs().sum(1).mean()
    assert float(after) < 0.5 * float(before)


def steps_of(monkeypatch, table, **settings):
    """How many steps a training took, and the learning rates of them."""
    rates = []

    class Counting(torch.optim.SGD):
        def step(self, *args, **kwargs):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "SGD", Counting)
    train_recovery(*table, **settings)
    return rates


def test_epochs_alone_are_exactly_so_many_and_the_rate_is_halved_half_way(monkeypatch):
    rates = steps_of(monkeypatch, (simplex(2100, 3, 0),) * 2, epochs=4)
    assert rates == [0.01] * 6 + [0.005] * 6  # three batches an epoch


def test_a_small_table_trains_on_until_the_loss_stops_falling(monkeypatch):
    monkeypatch.setattr(recovery_net, "LOOK", 2)
    table = simplex(8, 3, 0), simplex(8, 3, 1)
    rates = steps_of(monkeypatch, table, epochs=1, steps=5000)
    assert 8 < len(rates) < 5000 and set(rates) == {0.01, 0.005}
    assert rates == sorted(rates, reverse=True)
    # However long it would go on, it stops there, having halved the rate after half of them.
    rates = steps_of(monkeypatch, table, epochs=1, steps=4)
    assert rates == [0.01] * 2 + [0.005] * 2


def test_no_fewer_epochs_than_asked_for(monkeypatch):
    monkeypatch.setattr(recovery_net, "LOOK", 1)
    monkeypatch.setattr(recovery_net, "GAIN", 2.0)  # nothing is ever good enough
    assert len(steps_of(monkeypatch, (simplex(8, 3, 0),) * 2, epochs=30, steps=200)) == 30


def test_a_plateau_is_two_looks_without_a_gain():
    plateau, done, found = Plateau(), 0, []
    for mean in (3.0, 2.0, 1.999, 1.5, 1.499, 1.5):
        done += LOOK
        total = torch.tensor(mean * LOOK)
        found.append(plateau.stopped(total, done))
        assert total == 0
    assert found == [False, False, False, False, False, True]
    assert not Plateau(1000).stopped(torch.tensor(1.0), 1000 + LOOK - 1)
