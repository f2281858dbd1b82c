"""Lines under one name that were measured with other settings are never averaged."""

from dataclasses import replace

import pytest
from results import CELL, line

from queen_ref.arena import summarise, to_markdown
from queen_ref.arena.apart import told_apart


def configured(seed, accuracy=0.8, **changes):
    """A line of one seed, with its cell's configuration and what is changed in it."""
    cell = replace(CELL, seed=seed)
    config = dict(cell.config)
    for name, value in changes.items():
        if name == "code":
            config["code"] = value
        else:
            config["settings"] = {**config["settings"], name: value}
    return line(cell, substitute_accuracy=accuracy, config=config, **(
        {"key": f"{seed}{changes}"} if changes else {}
    ))  # fmt: skip


def test_where_all_agree_nothing_is_said():
    rows = summarise([configured(0), configured(1), line(replace(CELL, seed=2))][:2])
    (row,) = rows
    assert row["seeds"] == 2 and row["profile"] == "smoke" and "apart" not in row
    assert "Kept apart" not in to_markdown(rows)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": 400}, "budget=400"),
        ({"victim": {"epochs": 50}}, "victim.epochs=50"),
        ({"queen": {"threshold": 0.1}}, "queen.threshold=0.1"),
        ({"code": {"data": "abcdef99"}}, "data of one's own=abcdef"),
        ({"code": {"model": "abcdef99"}}, "model of one's own=abcdef"),
        ({"code": {"defense": "abcdef99"}}, "code abcdef"),
        ({"code": {"attack": "abcdef99"}}, "code abcdef"),
    ],
)
def test_lines_whose_settings_differ_are_kept_apart_and_that_is_said(change, says):
    rows = summarise([configured(0, 0.8), configured(1, 0.8), configured(2, 0.2, **change)])
    assert sorted(row["seeds"] for row in rows) == [1, 2]
    assert sorted(row["substitute_accuracy"] for row in rows) == [0.2, 0.8]
    told = to_markdown(rows)
    assert "Kept apart" in told and says in told


def test_a_change_is_said_of_the_whole_profile_and_of_no_other():
    other = line(replace(CELL, profile="cpu"), config=replace(CELL, profile="cpu").config)
    names = [words for words, _ in told_apart([configured(0), configured(1, budget=9), other])]
    assert [words["profile"] for words in names] == ["smoke, budget=150", "smoke, budget=9", "cpu"]


def test_a_sweep_is_told_by_its_defence_alone():
    cells = [replace(CELL, defense="queen", queen=(("threshold", t),)) for t in (0.1, 0.2)]
    rows = summarise([line(cell, config=cell.config, queen=dict(cell.queen)) for cell in cells])
    assert {row["defense"] for row in rows} == {"queen threshold=0.1", "queen threshold=0.2"}
    usual = replace(CELL, defense="queen")
    rows = summarise([line(usual, config=usual.config), *(
        line(cell, config=cell.config, queen=dict(cell.queen)) for cell in cells
    )])  # fmt: skip
    assert {row["profile"] for row in rows} == {"smoke"} and not any("apart" in r for r in rows)
    assert not any("apart" in row for row in rows)
