"""A victim is known again by its head and its body."""

import copy

import pytest
import torch

import queen_ref as qr


def _moved(victim, by=1.0):
    other = copy.deepcopy(victim)
    weight = other.body[-2].weight
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    weight.data += by * weight.std() * noise
    return other


def _of_another_seed(victim):
    other = qr.models.build("small_cnn", (1, 8, 8), victim.num_classes, seed=5).eval()
    other.head.load_state_dict(victim.head.state_dict())
    return other


def _permuted(victim):
    other = copy.deepcopy(victim)
    other.body[-2].weight.data = other.body[-2].weight.data.flip(0)
    return other


def _renormalised(victim):
    other = copy.deepcopy(victim)
    other.mean = 0.2
    return other


@pytest.mark.parametrize("change", [_of_another_seed, _moved, _permuted, _renormalised])
def test_another_body_with_the_same_last_layer_is_refused(setting, queen, change, tmp_path):
    queen.save(tmp_path / "queen.pt")
    other = change(setting[0])
    with pytest.raises(ValueError, match="expected the victim it was fitted to"):
        qr.Queen.load(other, tmp_path / "queen.pt")


def test_a_hair_of_rounding_is_the_same_victim(setting, queen):
    assert qr.Queen.from_state(_moved(setting[0], 1e-3), queen.state_dict()).seed == queen.seed
