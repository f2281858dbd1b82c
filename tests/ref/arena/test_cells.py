"""Cells: what decides a key."""

import pickle
import subprocess
import sys
from dataclasses import asdict, replace

from results import CELL


def test_every_field_of_a_cell_decides_its_key():
    others = [
        replace(CELL, **change)
        for change in (
            {"profile": "cpu"},
            {"pool": "digits"},
            {"attack": "top1"},
            {"policy": "jbda-tr"},
            {"defense": "rounding"},
            {"seed": 1},
            {"limit": 100},
            {"queen": (("threshold", 0.1),)},
            {"budget": 100},
            {"model": "resnet18"},
            {"recipe": (("weight_decay", 0.0),)},
            {"code": (("defense", "abc"),)},
        )
    ]
    assert len({cell.key for cell in [CELL, *others]}) == 13
    assert CELL.key == replace(CELL).key


def test_a_key_is_the_same_in_another_process():
    code = f"from queen_ref.arena import Cell; print({CELL!r}.key)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == CELL.key


def test_a_cell_that_knows_its_key_is_still_the_same_cell():
    cell = replace(CELL, limit=100, queen=(("threshold", 0.1),))
    fresh = replace(cell)
    assert cell.key == fresh.key and cell.settings.budget == 100
    assert cell.settings is cell.settings and cell.settings.queen.threshold == 0.1
    assert cell == replace(cell) == pickle.loads(pickle.dumps(cell))
    assert hash(cell) == hash(replace(cell)) and asdict(cell) == asdict(replace(cell))


def test_an_attack_that_was_changed_has_another_key_and_the_others_have_not():
    preset = replace(CELL, attack="ddae", defense="queen").config["preset"]
    assert preset["edition"] == 2 and preset["recovery_steps"] == 100
    assert CELL.config["preset"] == {"recovery": "none", "training": "plain"}
    assert "recovery_steps" not in CELL.config["settings"]["sizes"]
