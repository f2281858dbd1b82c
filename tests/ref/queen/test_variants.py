"""QUEEN under settings of one's own, and the authors' by name."""

from functools import partial

import pytest

import queen_ref as qr
from queen_ref import arena
from queen_ref.defenses import DEFENSES
from queen_ref.queen import Variant
from queen_ref.queen.variants import config_of


def cells(*defenses):
    return arena.grid("smoke", ["naive"], ["random"], list(defenses), [0])


def test_the_authors_settings_have_a_name_that_is_not_part_of_all():
    assert DEFENSES["queen-authors"].config == qr.QueenConfig.authors()
    assert "queen-authors" not in DEFENSES.usual
    (cell,) = cells("queen-authors")
    assert cell.the_defense.config.ledgers == "shared" and "defense" in cell.config["code"]


def test_other_settings_are_another_cell_and_say_so():
    one, other = Variant(qr.QueenConfig(threshold=0.1)), Variant(qr.QueenConfig(threshold=0.3))
    found = cells("queen", one, other)
    assert [cell.defense for cell in found][1:] == ["queen(threshold=0.1)", "queen(threshold=0.3)"]
    assert len({cell.key for cell in found}) == 3


def test_a_sweep_changes_them_too():
    vary = [("threshold", 0.05)]
    (cell,) = arena.grid("smoke", ["naive"], ["random"], ["queen-authors"], [0], vary=vary)
    assert cell.the_defense.changed(**dict(cell.queen)).config.threshold == 0.05


def test_it_is_fitted_under_its_own_settings(tmp_path):
    config = qr.QueenConfig(map_epochs=2, shadows=2, shadows_per_query=1, shadow_epochs=1)
    (cell,) = cells(Variant(config))
    shared = arena.measure.SharedParts(cell, arena.Cache(tmp_path))
    made = shared.defense(cell.the_defense)
    assert made.config == config != shared.settings.queen
    made(shared.data.test[0][:5])
    assert shared.defense(cell.the_defense).report()["queries"] == 0


def test_a_shared_ledger_has_a_name_that_is_not_part_of_all():
    assert "queen-shared" in DEFENSES and "queen-shared" not in DEFENSES.usual
    strict, shared = cells("queen-strict", "queen-shared")
    assert strict.key != shared.key
    assert strict.own is shared.own is None  # any process finds it by its name


def test_all_clients_of_a_shared_ledger_have_one_history(queen, images):
    shared = DEFENSES["queen-shared"](queen.victim, queen)
    assert shared.config.threshold == 0.02 and shared.config.ledgers == "shared"
    shared(images, client="poisoner")
    assert shared.ledger("customer").cqs.equal(shared.ledger("poisoner").cqs)
    assert bool((shared.ledger("customer").cqs > 0).any())


def test_settings_that_are_none_are_refused():
    with pytest.raises(ValueError, match="threshold"):
        Variant(qr.QueenConfig()).changed(threshold=-1)


def test_every_queen_of_ours_says_its_settings_and_nobody_else_does():
    for name, maker in DEFENSES.items():
        assert (config_of(maker) is not None) == name.startswith("queen"), name
    bounded = partial(DEFENSES["queen-gated"], max_clients=3)
    assert config_of(bounded) == config_of(DEFENSES["queen-gated"])
    assert config_of(DEFENSES["queen-shared"]).ledgers == "shared"
    assert config_of(lambda victim, queen: queen.with_settings(gate="inside")) is None
