"""The lines on photographs: the plan, where its lines go, what is said without images."""

import photos
import pytest
from grids import RESULTS

from queen_ref.arena import read
from queen_ref.defenses import DEFENSES


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


def test_the_table_has_every_thief_against_every_defence_that_he_suits(parts):
    table = [*parts["key"], *parts["others"]]
    assert len({cell.key for cell in table}) == len(table)
    assert {cell.attack for cell in table} == set(photos.THIEVES)
    assert {cell.defense for cell in table} == {*photos.MAIN, *photos.REST} <= set(DEFENSES)
    assert {cell.seed for cell in table} == set(photos.SEEDS)
    begun = [*parts["first"], *parts["helpers"]]
    assert {cell.key for cell in begun} <= {cell.key for cell in table}


def test_in_one_file_all_lines_have_one_recipe_and_one_budget(parts):
    table = [cell for name, some in parts.items() for cell in some
             if photos.file_of(name) == "photos.jsonl"]  # fmt: skip
    assert {(cell.budget, cell.recipe) for cell in table} == {(None, ())}
    assert {cell.settings.budget for cell in table} == {20_000}
    assert {cell.budget for cell in parts["budgets"]} == {300, 1000, 3000, 10_000}


def test_a_copy_has_another_network_and_the_victim_keeps_his(parts):
    for cell in parts["copies"]:
        assert cell.settings.sizes.recipe.model == "resnet8"
        assert cell.settings.victim == parts["key"][0].settings.victim


def test_the_workers_begin_with_different_seeds(parts):
    assert [cell.seed for cell in parts["first"]] == [0, 1, 2] * 2


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
