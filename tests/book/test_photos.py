"""The lines on photographs: the plan, where its lines go, what is said without images."""

import photos
import pytest
from grids import RESULTS

from queen_ref.arena import read
from queen_ref.arena.grid import suits


@pytest.fixture(scope="module")
def parts():
    return photos.plan()


@pytest.mark.parametrize("file", ["photos.jsonl", "photos-budgets.jsonl", "photos-recipes.jsonl"])
def test_every_recorded_line_is_one_of_the_plan(parts, file):
    path = RESULTS / file
    planned = {cell.key for name, some in parts.items() for cell in some
               if photos.file_of(name) == file}  # fmt: skip
    recorded = read(path) if path.exists() else []
    assert {line["key"] for line in recorded} <= planned != set()


def test_the_table_has_the_key_thieves_against_every_defence_that_they_suit(parts):
    names = ("first", "key", "more", "others")
    table = {cell.key: cell for name in names for cell in parts[name]}
    assert len(table) == sum(len(parts[name]) for name in names)
    pairs = {(cell.attack, cell.defense) for cell in table.values()}
    assert {defense for _, defense in pairs} == {"none", *photos.MAIN, *photos.REST}
    for defense in (*photos.MAIN, *photos.REST):
        usual = {name for name in photos.USUAL if suits(name, "random", defense)}
        assert usual <= {attack for attack, of in pairs if of == defense}, defense
    assert {cell.seed for cell in table.values()} == set(photos.SEEDS)
    assert {cell.key for cell in parts["helpers"]} <= set(table)


def test_a_queen_that_hides_meets_every_thief_who_looks_and_needs_no_label(parts):
    met = {(cell.attack, cell.defense) for some in parts.values() for cell in some}
    every = {*photos.THIEVES, *photos.LOOKING} - {"zero"}
    assert {(attack, defense) for attack in every for defense in photos.OURS} <= met


def test_in_one_file_all_lines_have_one_recipe_and_one_budget(parts):
    table = [cell for name, some in parts.items() for cell in some
             if photos.file_of(name) == "photos.jsonl"]  # fmt: skip
    assert {(cell.budget, cell.recipe) for cell in table} == {(None, ())}
    assert {cell.settings.budget for cell in table} == {20_000}
    assert {cell.budget for cell in parts["budgets"]} == {300, 1000, 3000, 10_000}


def test_a_copy_has_another_network_and_the_victim_keeps_his(parts):
    for cell in parts["copies"]:
        assert cell.settings.sizes.recipe.model == "resnet8"
        assert cell.settings.victim == parts["first"][0].settings.victim


def test_the_workers_begin_with_different_seeds(parts):
    assert [cell.seed for cell in parts["first"]] == [0, 1, 2] * 5


def test_the_list_measures_nothing_and_needs_no_images(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("QUEEN_DATA", raising=False)
    assert photos.main(["first", "budgets", "copies", "--list", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said] == [
        ["photos.jsonl", "first"],
        ["photos-budgets.jsonl", "budgets"],
        ["photos-recipes.jsonl", "copies"],
    ]
    assert all(" 0 of " in line for line in said) and not list(tmp_path.iterdir())


def test_without_images_it_says_in_one_line_how_to_get_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("QUEEN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    assert photos.main(["--out", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("cifar10: expected") and said.err.count("\n") == 1
    assert "https://www.cs.toronto.edu" in said.err and said.out == ""
