"""Real cells: what a line says, that it is the same again, and what a defence really did."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from results import CELL

from queen_ref.arena import Cache, measure, run_cell
from queen_ref.arena.measure import caught_by, counted, degenerate
from queen_ref.attacks.ddae import GUESSED_STATE
from queen_ref.attacks.registry import NO_STATE
from queen_ref.defenses import DADD, NoDefense
from queen_ref.queen import Queen

OUTSIDE = {
    "attack", "policy", "defense", "seed", "profile", "substitute_accuracy",
    "substitute_accuracy_best", "fidelity", "protected_accuracy", "protected_accuracy_after",
    "l1", "queries", "counters", "seconds", "device", "flags", "key", "config", "versions", "git",
    "curve", "honest", "right",
}  # fmt: skip


def test_a_line_says_all_that_outside_tools_rely_on(queen_line):
    assert set(queen_line) >= OUTSIDE
    assert json.loads(json.dumps(queen_line, allow_nan=False)) == queen_line
    for name in OUTSIDE:
        if "accuracy" in name or name == "fidelity":
            assert 0 <= queen_line[name] <= 1, name
    assert queen_line["queries"] == queen_line["counters"]["queries"] == 150
    assert 0 < queen_line["l1"] < 2
    curve = queen_line["curve"]
    assert len(curve["accuracy"]) == len(curve["fidelity"]) == 8
    assert curve["accuracy"][-1] == queen_line["substitute_accuracy"]
    assert curve["fidelity"][-1] == queen_line["fidelity"]
    assert queen_line["substitute_accuracy_best"] >= queen_line["substitute_accuracy"]
    bits = f"{int(queen_line['right'], 16):0{4 * len(queen_line['right'])}b}"
    assert len(bits) == 336  # 333 test images, in whole digits
    assert bits.count("1") / 333 == pytest.approx(queen_line["substitute_accuracy"])
    assert {"queries", "recovery", "training", "evaluation", "total"} <= set(queen_line["seconds"])
    # It was a D-DAE: his copy is the defender's, its memory his guess.
    assert GUESSED_STATE in queen_line["flags"] and NO_STATE not in queen_line["flags"]
    assert Queen.copy_flags[0] in queen_line["flags"]


def test_the_same_cell_gives_the_same_numbers_from_cached_parts(queen_line, parts):
    measure._RECENT.clear()
    again = run_cell(replace(CELL, defense="queen", attack="ddae"), Cache(parts))
    assert again["seconds"]["parts"] == 0 < queen_line["seconds"]["parts"]
    for name in ("substitute_accuracy", "fidelity", "protected_accuracy_after", "counters"):
        assert again[name] == queen_line[name]
    assert again["l1"] == pytest.approx(queen_line["l1"], abs=1e-6)


def test_an_undefended_victim_answers_truthfully(parts):
    found = run_cell(CELL, Cache(parts))
    assert found["l1"] == 0 and found["counters"] == {}
    assert found["protected_accuracy"] == found["protected_accuracy_after"]
    assert found["protected_accuracy"] == found["victim_accuracy"]
    assert set(found["honest"].values()) == {found["protected_accuracy"]}


def test_a_trial_takes_few_images_and_its_line_says_that_it_is_no_result(parts):
    tried = run_cell(replace(CELL, defense="queen", limit=64), Cache(parts))
    assert tried["queries"] == tried["limit"] == 64
    assert any("no result" in flag for flag in tried["flags"])
    assert tried["config"]["settings"]["sizes"]["epochs"] == 2


def test_a_changed_setting_reaches_the_defence_and_the_line(parts):
    eager = run_cell(replace(CELL, defense="queen", queen=(("threshold", 0.0),)), Cache(parts))
    assert eager["queen"] == {"threshold": 0.0}
    assert eager["counters"]["reversed"] > 0  # 55 to 79 of 150 with 10 seeds
    assert list(eager["honest"]) == ["10", "30", "100", "300", "1000"]
    assert eager["honest"]["1000"] < eager["honest"]["10"] <= 1
    assert eager["config"]["settings"]["queen"]["threshold"] == 0.0


def test_a_setting_of_another_defence_reaches_it_and_the_line(parts):
    usual = run_cell(replace(CELL, defense="mad"), Cache(parts))
    mild = run_cell(replace(CELL, defense="mad", setting=(("epsilon", 0.2),)), Cache(parts))
    assert mild["setting"] == {"epsilon": 0.2} and "setting" not in usual
    assert 0 < mild["l1"] < 0.21 < usual["l1"]


def test_smoothing_says_what_it_really_sends(parts):
    found = run_cell(replace(CELL, attack="smoothing"), Cache(parts))
    assert found["queries"] == 450
    assert "more queries sent than the nominal budget" in found["flags"]


# Detectors and marks ----------------------------------------------------------------------


def test_a_detectors_line_says_when_it_fires_and_at_how_many_honest_accounts(parts, monkeypatch):
    monkeypatch.setattr(measure, "HONEST", (20, 60))
    found = run_cell(replace(CELL, pool="noise", defense="d-add"), Cache(parts))
    assert 16 <= found["fired_after"] <= 150  # the first full window, or later
    assert 0 <= found["honest_flagged"] <= 20 and "ownership" not in found
    assert found["counters"]["queries"] == 150 and "fired" not in found["counters"]
    measure._RECENT.clear()
    monkeypatch.setattr(DADD, "flagged_streams", lambda *_: 1 / 0)  # known from the first cell
    again = run_cell(replace(CELL, attack="top1", defense="d-add"), Cache(parts))
    assert again["honest_flagged"] == found["honest_flagged"]
    assert json.loads(json.dumps(again, allow_nan=False)) == again


def test_a_gated_queens_line_says_when_the_gate_fires_and_at_whom(parts, monkeypatch):
    monkeypatch.setattr(measure, "HONEST", (20, 60))
    found = run_cell(replace(CELL, pool="noise", defense="queen-gated"), Cache(parts))
    fired, counters = found["fired_after"], found["counters"]
    assert 10 <= fired <= 150  # noise is less sure than digits, and the gate needs a few of it
    assert counters["reversed"] == counters["queries"] - fired + 1 and "fired" not in counters
    assert found["honest_flagged"] <= 1  # of 20 clients, where 0.001 of each is promised


def test_a_markers_line_says_whether_the_copy_is_proved(parts):
    found = run_cell(replace(CELL, defense="dawn"), Cache(parts))
    assert set(found["ownership"]) == {"marks", "repeated", "p_value", "proved"}
    assert found["ownership"]["proved"] is False  # so few marks prove nothing
    assert "fired_after" not in found and json.loads(json.dumps(found)) == found


def test_other_defences_have_no_such_fields(queen_line, parts):
    for line in (queen_line, run_cell(CELL, Cache(parts))):
        assert not {"fired_after", "honest_flagged", "ownership"} & set(line)


def test_a_thief_with_two_accounts_is_caught_at_the_first_alarm_of_either():
    class Fires(NoDefense):
        def report(self, client="default"):
            return {"queries": 9, **({"fired": 7} if client == "b" else {})}

        def flagged_streams(self, images, count, length):
            return 0

    def api(*accounts):
        return SimpleNamespace(accounts=dict.fromkeys(accounts, 9))

    defense = Fires(lambda x: x)
    assert caught_by(defense, torch.nn.Identity(), api("a", "b")) == {"fired_after": 7}
    assert caught_by(defense, torch.nn.Identity(), api("a")) == {"fired_after": None}
    assert counted(defense, ["a", "b"]) == {"queries": 18}


def test_a_thief_of_many_names_is_counted_whole(parts):
    found = run_cell(replace(CELL, attack="names-4", defense="queen-strict"), Cache(parts))
    assert found["accounts"] == 4 and found["queries"] == found["counters"]["queries"] == 150
    assert not {"customers_before", "customers_after"} & set(found)


def test_a_new_customer_of_a_shared_ledger_pays_for_what_others_asked(parts):
    cell = replace(CELL, attack="poison", policy="poison", defense="queen-shared")
    found = run_cell(cell, Cache(parts))
    assert 0 <= found["customers_after"] <= 1 and 0 <= found["customers_before"] <= 1
    shared = measure.shared_parts(cell, Cache(parts)).defense("queen-shared")
    images, labels = measure.shared_parts(cell, Cache(parts)).data.test
    assert measure.to_customers(shared, images, labels) == found["customers_before"]
    assert not shared.clients  # a copy was asked

    def slowly(asked_before):  # a defence of his own for every customer
        right = []
        for first in range(0, len(images), 10):
            alone = shared.fresh()
            if asked_before is not None:
                alone(asked_before, client="poisoner")
            said = alone(images[first : first + 10], client="customer").argmax(1)
            right.append(said == labels[first : first + 10])
        return float(torch.cat(right).double().mean())

    assert measure.to_customers(shared, images, labels) == pytest.approx(slowly(None))
    poison = measure.shared_parts(cell, Cache(parts)).data.pool("mnist")
    shared(poison, client="poisoner")
    asked = shared.report("poisoner")
    assert measure.to_customers(shared, images, labels) == pytest.approx(slowly(poison))
    assert shared.report("poisoner") == asked and shared.report("customer")["queries"] == 0


def test_every_new_customer_stands_before_the_gate_as_a_stranger(parts):
    shared = measure.shared_parts(replace(CELL, defense="queen-shared"), Cache(parts))
    gated = shared.defense("queen-shared").with_settings(gate="confidence", answer="abstain")
    foreign = shared.data.pool("noise")[:100]
    labels = gated.look(foreign).labels
    one = gated(foreign, client="one who asks all").argmax(1)
    assert gated.report("one who asks all")["fired"] > 10 and bool((one != labels).any())
    assert measure.to_customers(gated, foreign, labels) == 1.0  # after ten questions none is


# Outcomes that are none -------------------------------------------------------------------


def queen_with(radii) -> Queen:
    queen = object.__new__(Queen)  # nothing of it but its regions
    queen.parts = SimpleNamespace(clusters=SimpleNamespace(radii=torch.tensor(radii)))
    queen.clusters = queen.parts.clusters
    return queen


@pytest.mark.parametrize(
    ("substitute", "victim", "found"),
    [
        (0.135, 0.95, ["substitute near chance or below"]),
        (0.02, 0.95, ["substitute near chance or below"]),
        (0.1, 0.1, ["substitute near chance or below", "victim near chance or below"]),
        (0.4, 0.95, []),
    ],
)
def test_a_model_that_guesses_is_flagged(substitute, victim, found):
    numbers = {"substitute_accuracy": substitute, "victim_accuracy": victim}
    assert degenerate(numbers, 10, 333, NoDefense(lambda x: x)) == found


@pytest.mark.parametrize(
    ("radii", "found"),
    [
        ([0.0, 0.0, 0.0], ["QUEEN guards nothing: no class has a region"]),
        ([1.0, 0.0, 2.0], ["QUEEN guards 2 of 3 classes: the regions of the others are empty"]),
        ([0.0, 0.0, 2.0], ["QUEEN guards 1 of 3 classes: the regions of the others are empty"]),
        ([1.0, 1.0, 2.0], []),
    ],
)
def test_a_queen_without_regions_is_flagged(radii, found):
    numbers = {"substitute_accuracy": 0.8, "victim_accuracy": 0.9}
    assert degenerate(numbers, 3, 333, queen_with(radii)) == found
