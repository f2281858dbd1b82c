"""What a cell leaves behind is the thief's whole loot, and is read without running code."""

import json

import pytest
import torch

import queen_ref as qr
from queen_ref import arena
from queen_ref.arena.keep import LINE, SUBSTITUTE, TRANSFER, check_keep, kept_substitute
from queen_ref.cli import main

WORDS = dict(profile="smoke", attacks=["naive"], policies=["random"], defenses=["rounding"])
WORDS |= dict(seeds=[0], budget=60)


@pytest.fixture(scope="module")
def kept(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    (line,) = arena.run(folder / "r.jsonl", **WORDS, cache=parts, keep=folder / "kept")
    return line, folder / "kept" / line["key"]


def test_the_substitute_comes_back_as_it_was_measured(kept):
    line, place = kept
    substitute, test = kept_substitute(place), qr.data.load("smoke", 0).test
    assert not substitute.training
    assert qr.metrics.accuracy(substitute, *test) == line["substitute_accuracy"]


def test_the_transfer_set_is_what_was_sent_answered_and_learned(kept):
    from safetensors.torch import load_file

    line, place = kept
    loot = load_file(place / TRANSFER)
    assert {name: len(rows) for name, rows in loot.items()} == dict.fromkeys(
        ("images", "answers", "labels"), line["queries"]
    )
    pool = qr.data.load("smoke", 0).pool("mnist")
    assert torch.equal(loot["images"], qr.attacks.random_queries(pool, 60, seed=0))
    assert torch.equal(loot["labels"], loot["answers"])  # the attack is naive


def test_the_line_and_its_curve_lie_beside_it(kept):
    line, place = kept
    assert json.loads((place / LINE).read_text()) == line
    assert len(line["curve"]["accuracy"]) == len(line["curve"]["fidelity"]) == 8
    assert sorted(path.name for path in place.iterdir()) == [LINE, SUBSTITUTE, TRANSFER]


def test_it_decides_no_key(kept):
    line, _ = kept
    words = {name: WORDS[name] for name in ("profile", "attacks", "policies", "defenses", "seeds")}
    assert arena.grid(*words.values(), budget=60)[0].key == line["key"]


def test_cells_that_were_measured_without_it_are_told(kept, tmp_path):
    _, place = kept
    cells = arena.grid("smoke", ["naive"], ["random"], ["rounding"], [0], budget=60)
    check_keep(place.parent, cells, [cells[0].key])
    with pytest.raises(ValueError, match=r"^keep: expected a new results file, 1 of these cells"):
        check_keep(tmp_path, cells, [cells[0].key])


def test_the_command_line_keeps_too(tmp_path, parts, capsys):
    words = "--profile smoke --attacks naive --policies random --defenses none --seeds 0"
    words += f" --budget 60 --workers 1 --cache-dir {parts} --out {tmp_path / 'r.jsonl'}"
    assert main(["arena", *words.split(), "--keep", str(tmp_path / "kept")]) == 0
    (line,) = arena.read(tmp_path / "r.jsonl")
    assert (tmp_path / "kept" / line["key"] / SUBSTITUTE).stat().st_size > 100_000


def test_a_folder_that_cannot_be_is_one_line(tmp_path, parts, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="^keep: cannot write into .*file"):
        arena.run(tmp_path / "r.jsonl", **WORDS, cache=parts, keep=tmp_path / "file")
    assert not (tmp_path / "r.jsonl").exists()
