"""Chapter 8's lines: what is recorded is what the plan measures."""

from pathlib import Path

import grids
import pytest

from queen_ref.arena import read


@pytest.fixture(scope="module")
def parts():
    return grids.plan()


@pytest.mark.parametrize("file", ["arena.jsonl", "mending.jsonl", "recipes.jsonl"])
def test_every_recorded_line_is_one_of_the_plan(parts, file):
    path = grids.RESULTS / file
    planned = {cell.key for name, some in parts.items() for cell in some
               if grids.file_of(name) == file}  # fmt: skip
    recorded = read(path) if path.exists() else []
    assert {line["key"] for line in recorded} <= planned


def test_the_ten_seeds_of_the_cells_that_sentences_rest_on_are_there(parts):
    recorded = {line["key"] for line in read(grids.RESULTS / "arena.jsonl")}
    assert {cell.key for name in ("key", "ten seeds") for cell in parts[name]} <= recorded


def test_the_list_measures_nothing(tmp_path, capsys):
    assert grids.main(["key", "recipes", "--list", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said] == [
        ["arena.jsonl", "key"], ["recipes.jsonl", "recipes"]
    ]  # fmt: skip
    assert all(" 0 of " in line for line in said)
    assert not [path for path in Path(tmp_path).iterdir() if path.stat().st_size]


def test_a_part_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        grids.main(["keys"])
    assert stopped.value.code == 2
    assert "parts: expected some of key, looking" in capsys.readouterr().err
