"""S4L: a second loss on turned images."""

import torch
from thief import POOL, victim_of

from queen_ref.attacks.s4l import RotationLoss, turn
from queen_ref.training import Recipe, fit


def test_images_are_turned_by_their_own_number_of_quarters():
    turns = torch.arange(60) % 4
    turned = turn(POOL, turns)
    for row in range(8):
        torch.testing.assert_close(turned[row], POOL[row].rot90(row % 4, dims=(1, 2)))


def test_the_rotation_loss_is_learned_and_leaves_the_running_averages_alone():
    pool = torch.linspace(0, 1, 8).expand(64, 1, 8, 8) + 0.1 * torch.rand(64, 1, 8, 8)
    model = victim_of(3)
    rotations = RotationLoss(model.feature_dim, pool, batch_size=64, seed=0)
    before = model.body[0][1].running_mean.clone()
    first = float(rotations(model.train()).detach())
    assert torch.equal(model.body[0][1].running_mean, before)
    assert model.body[0][1].momentum == 0.1
    fit(model, POOL, torch.full((60, 3), 1 / 3), Recipe(epochs=8), second_loss=rotations)
    # 0.05 to 0.08 of the first with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert float(rotations(model.train()).detach()) < first / 2
