"""Eval mode inside, and every flag as it was afterwards."""

import sys
import threading

import pytest
import torch
from torch import nn

import queen_ref as qr
from queen_ref.modes import evaluating, modules_of


def half_frozen() -> qr.models.Classifier:
    """In train mode, but for one batch norm."""
    model = qr.models.build("small_cnn", (1, 8, 8), 4).train()
    model.body[0][1].eval()
    return model


def modes(model: nn.Module) -> list[bool]:
    return [part.training for part in model.modules()]


def test_a_frozen_layer_is_frozen_again_and_the_others_train():
    model = half_frozen()
    before = modes(model)
    with evaluating(model):
        assert not any(modes(model))
    assert modes(model) == before and len(set(before)) == 2


def test_an_error_inside_puts_the_flags_back_too():
    model = half_frozen()
    before = modes(model)
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert modes(model) == before


def test_a_block_inside_a_block_puts_nothing_back():
    model = half_frozen()
    with evaluating(model):
        with evaluating(model.body):
            pass
        assert not any(modes(model))


def test_a_victim_that_is_no_module_has_its_modules_in_eval_mode():
    class Own:
        def __init__(self):
            self.net = half_frozen()

        def ask(self, images):
            return self.net(images)

    victim = Own()
    with evaluating(victim, victim.net.features):
        assert not any(modes(victim.net))
    with evaluating(victim.net.features):
        assert not any(modes(victim.net))
    assert victim.net.training


def test_all_modules_are_found_and_what_has_none_is_let_through():
    model = nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Dropout())])
    assert set(modules_of(model)) == set(model.modules())
    model.add_module("none", None)
    with evaluating(model, len, torch.rand):
        assert modules_of(3) == modules_of(len) == []


def test_a_thread_that_is_done_does_not_wake_the_layers_of_another():
    model, woken = qr.models.build("small_cnn", (1, 8, 8), 4).train(), []

    def ask():
        for _ in range(200):
            with evaluating(model):
                woken.extend(part for part in modules_of(model) if part.training)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not woken and all(modes(model))
