"""Shared parts: trained once, kept in the cache, and no memory left in a defence."""

from dataclasses import replace

import pytest
import torch
from results import CELL

from queen_ref.arena import Cache
from queen_ref.arena import parts as parts_module
from queen_ref.arena.parts import SharedParts, pick_device
from queen_ref.defenses import GRAD2

QUEEN = replace(CELL, defense="queen")


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(model.parameters())


def test_what_one_trained_another_reads(parts):
    first = SharedParts(CELL, Cache(parts))
    again = SharedParts(replace(CELL, attack="s4l", defense="rounding"), Cache(parts))
    assert torch.equal(weights(first.victim), weights(again.victim))
    assert again.seconds == {} and first.digest == again.digest


def test_another_limit_has_other_data_and_another_victim(parts):
    whole, few = SharedParts(CELL, Cache(parts)), SharedParts(replace(CELL, limit=64), Cache(parts))
    assert len(few.data.train[0]) == 64 < len(whole.data.train[0])
    assert whole.digest != few.digest
    assert not torch.equal(weights(whole.victim), weights(few.victim))


def test_a_defence_begins_without_memory_every_time(parts, queen_line):
    shop = SharedParts(QUEEN, Cache(parts))
    used = shop.defense("queen")
    used(shop.data.pools["mnist"][:20], client="thief")
    assert used.report("thief")["queries"] == 20
    assert shop.defense("queen").report("thief")["queries"] == 0
    assert shop.seconds == {}  # all of it was trained for the line


def test_the_surrogate_is_trained_once_and_is_the_one_that_grad2_would_train(tmp_path):
    cell, cache = replace(CELL, defense="grad2", limit=64), Cache(tmp_path)
    first, again = SharedParts(cell, cache), SharedParts(cell, cache)
    kept = first.defense("grad2").surrogate
    assert "surrogate" in first.seconds
    assert torch.equal(weights(again.defense("grad2-keep").surrogate), weights(kept))
    assert "surrogate" not in again.seconds
    alone = GRAD2(first.victim, first.data.train[0], seed=cell.seed)
    assert torch.equal(weights(alone.surrogate), weights(kept))


def test_other_training_code_trains_anew(tmp_path, monkeypatch):
    cell, cache = replace(CELL, limit=64), Cache(tmp_path)

    def trained() -> set[str]:
        shared = SharedParts(cell, cache)
        return set(shared.seconds) if shared.victim is not None else set()

    assert trained() == {"victim"} and trained() == set()
    monkeypatch.setattr(parts_module, "library_code", lambda: "another")
    assert trained() == {"victim"}


@pytest.mark.parametrize(("name", "device"), [("cpu", "cpu"), ("cuda:1", "cuda:1")])
def test_a_device_that_has_a_name_is_taken(name, device):
    assert pick_device(name) == device


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert pick_device("auto") == device
