"""The grid: which combinations it has, and what is refused before it begins."""

import pytest

import queen_ref as qr
from queen_ref.arena import grid
from queen_ref.arena.grid import suits
from queen_ref.attacks import ATTACKS, POLICIES, Attack
from queen_ref.data.profiles import POOLS, load
from queen_ref.defenses import DEFENSES, make
from queen_ref.defenses.registry import find
from queen_ref.registry import says


def test_the_grid_leaves_out_what_would_say_nothing():
    cells = grid("smoke", ATTACKS.usual, POLICIES.usual, DEFENSES.usual, [0])
    assert len(cells) == len(set(cells)) == len({cell.key for cell in cells})
    assert all(suits(cell.attack, cell.policy, cell.defense) for cell in cells)
    there = {(cell.attack, cell.policy, cell.defense) for cell in cells}
    assert ("ddae", "random", "none") not in there and ("ddae", "random", "queen") in there
    assert ("top1", "random", "mad") not in there and ("top1", "random", "queen") in there
    assert ("s4l", "jbda-tr", "queen") not in there and ("s4l", "random", "queen") in there
    assert {cell.attack for cell in cells} == set(ATTACKS.usual)
    assert {cell.defense for cell in cells} == set(DEFENSES.usual)


@pytest.mark.parametrize("defense", DEFENSES)
def test_more_accounts_are_left_out_where_the_defence_has_no_memory(defense):
    remembers = defense.startswith("queen") or defense in ("modelguard-s", "prada", "d-add")
    assert suits("names-4", "random", defense) == remembers


def test_an_attack_that_chooses_its_images_itself_has_one_row_whatever_the_policies():
    picks = Attack(policy="jbda-tr")
    for policies in (["random"], ["random", "jbda-tr"]):
        cells = grid("smoke", ["naive", picks], policies, ["none"], [0])
        mine = [cell for cell in cells if cell.attack == picks.name]
        assert [cell.policy for cell in mine] == ["jbda-tr"]
        assert [cell.policy for cell in cells if cell.attack == "naive"] == policies


def test_the_defences_that_keep_the_label_are_those_that_promise_it():
    victim = qr.models.build("small_cnn", (1, 8, 8), 10)
    promised = [
        name
        for name in DEFENSES.usual
        if not name.startswith("queen")
        and make(name, victim, outlier_exposed=victim, misinformation=victim).keeps_label
    ]
    assert not qr.Queen.keeps_label
    assert promised == [name for name in DEFENSES.usual if says(find(name), "keeps_label", False)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": ["nave"]}, "attacks: expected some of naive.*got 'nave'"),
        ({"defenses": ["queen", "queen"]}, "defenses: expected each once"),
        ({"seeds": []}, "seeds: expected at least one"),
        ({"seeds": [-1]}, "seeds: expected an integer >= 0"),
        ({"profile": "tpu"}, "profile"),
        ({"pool": "emnist"}, "pool"),
        ({"pool": "mnist+emnist"}, "pool: expected one of"),
        ({"pool": "mnist+mnist"}, "pool: expected each once"),
        ({"vary": [("epsilon", 0.5)]}, "vary: expected a setting that all defenses have, queen"),
        # The name fixes it: the value would be ignored without a word.
        ({"vary": [("threshold", 0.5)], "defenses": ["queen-strict"]}, "vary: expected a setting"),
        ({"vary": [("threshold", 0.5)], "defenses": ["queen", "mad"]}, "all QUEEN's, or none"),
        ({"attacks": ["ddae"], "defenses": ["none"]}, "none does; ddae x .*: there is no defence"),
        ({"attacks": ["top1"], "defenses": ["mad"]}, "keeps the label"),
        ({"attacks": ["names-2"], "defenses": ["mad"]}, "no memory"),
        ({"vary": [("epsilon", 9)], "defenses": ["mad"]}, "epsilon: expected"),
        ({"vary": [("beta", -1)], "defenses": ["reverse-sigmoid"]}, "beta: expected"),
        ({"vary": [("tau", 9.0)], "defenses": ["am"]}, "tau: expected"),
        # It has no gate, and hides nothing: the cells would be copies.
        ({"vary": [("gate_alarm", 0.01)]}, "vary: expected a setting that all defenses have"),
        ({"vary": [("region_side", 0.5)], "defenses": ["queen-abstain"]}, "vary: expected a sett"),
        ({"attacks": ["ddae-codebook"]}, "none does"),
        ({"recipe": {"epoch": 3}}, "recipe: expected one of"),
        ({"recipe": {"epochs": 0}}, "epochs: expected"),
        ({"recipe": "cosine"}, "recipe: expected a dict"),
    ],
)
def test_a_grid_that_is_not_one_is_refused(change, message):
    good = dict(
        profile="smoke", attacks=["naive"], policies=["random"], defenses=["queen"], seeds=[0]
    )
    with pytest.raises(ValueError, match=message):
        grid(**{**good, **change})


@pytest.mark.parametrize("profile", ["smoke", "cpu"])
def test_the_pools_of_a_profile_are_those_that_it_loads(profile):
    assert POOLS[profile] == tuple(load(profile).pools)


def test_a_recipe_is_in_the_key_where_it_is_not_the_profiles():
    def cells(**recipe):
        return grid("cpu", ["naive"], ["random"], ["queen"], [0], recipe=recipe)

    (usual,), (same,) = cells(), cells(epochs=8, schedule="step", weight_decay=5e-4)
    assert same == usual and same.key == usual.key
    changes = [{"epochs": n, "schedule": s} for n in (8, 30) for s in ("constant", "cosine")]
    many = [cells(**change)[0] for change in [*changes, {"weight_decay": 0.0}]]
    assert len({cell.key for cell in [usual, *many]}) == 6
    recipe = many[-2].settings.sizes.recipe
    assert (recipe.epochs, recipe.schedule, recipe.batch_size) == (30, "cosine", 32)
    assert many[-2].settings.victim == usual.settings.victim
    assert many[-2].name.endswith("seed 0, epochs 30, schedule cosine")


def test_a_sweep_has_a_cell_for_each_value_of_whatever_defence():
    def cells(defense, *vary):
        return grid("cpu", ["naive"], ["random"], [defense], [0], vary=list(vary))

    (usual,) = cells("mad")
    few, many = cells("mad", ("epsilon", 0.5), ("epsilon", 1.5))
    assert len({cell.key for cell in (usual, few, many)}) == 3
    assert "mad epsilon=0.5" in few.name and few.config["setting"] == (("epsilon", 0.5),)
    assert few.the_defense.keywords == {"epsilon": 0.5}
    rare, often = cells("queen-gated", ("gate_alarm", 0.001), ("gate_alarm", 0.1))
    assert len({rare.key, often.key, cells("queen-gated")[0].key}) == 3
    assert often.settings.queen.gate_alarm == 0.1 and often.config["queen"] == often.queen
    assert cells("queen-hidden", ("region_side", 0.5))[0].settings.queen.region_side == 0.5
    (strict,) = cells("queen", ("threshold", 0.02))
    assert strict.settings.queen.threshold == 0.02 and strict.setting == ()


def test_the_exact_queen_of_the_grid_is_no_copy_of_the_usual_one():
    # "queen-exact" repeats "queen" where nothing is reversed; the strict one reverses.
    assert "queen-exact" in DEFENSES and "queen-exact" not in DEFENSES.usual
    settings = DEFENSES["queen-strict-exact"].keywords
    assert settings == {**DEFENSES["queen-strict"].keywords, "answer": "exact"}
    assert {"queen", "queen-strict", "queen-strict-exact"} <= set(DEFENSES.usual)
