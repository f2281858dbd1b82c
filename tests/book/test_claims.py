"""Claims of the chapters: what holds is silent, what fails is said, and every bound has room."""

import json
import math
from pathlib import Path

import claimed
import numpy as np
import pytest
import seeds
import torch
from hypothesis import given
from hypothesis import strategies as st

from queen_book import claims

ROOT = Path(__file__).resolve().parents[2]

CHAPTERS = claimed.chapters()


@pytest.fixture
def claim(monkeypatch):
    monkeypatch.delenv("QUEEN_CLAIMS", raising=False)
    monkeypatch.delenv("QUEEN_CLAIMS_TO", raising=False)
    return claims.Claims("00_of_another_book", "cpu")


@pytest.mark.parametrize(
    "value",
    [0.4, [0.31, 0.54], np.array([[0.4], [0.5]]), torch.tensor([0.4], requires_grad=True)],
)
def test_a_claim_that_holds_says_nothing(claim, capsys, value):
    claim("share", value, above=0.3, below=0.55)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [0.28, 0.3, [0.4, 0.6], math.nan, [0.4, math.nan]])
def test_a_claim_that_fails_is_one_sentence_and_the_page_goes_on(claim, capsys, value):
    claim("share of right answers lost", value, above=0.3, below=0.55)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and '"share of right answers lost": above 0.3 and below' in said


def test_a_failed_claim_names_the_recorded_spread(claim, capsys, monkeypatch):
    runs = [
        dict(profile="cpu", chapter="00_of_another_book", seed=seed, threads=threads,
             claims={"share": [0.41 + seed / 100, 0.5]})
        for seed in (0, 1) for threads in (1, 2)
    ]  # fmt: skip
    monkeypatch.setattr(claims, "runs", lambda path: runs)
    claim("share", 0.28, above=0.3)
    said = "Recorded: 0.41 to 0.5, in 4 runs with seeds 0, 1 and 1 or 2 threads."
    assert said in capsys.readouterr().out


def test_a_strict_run_raises(claim, monkeypatch):
    monkeypatch.setenv("QUEEN_CLAIMS", "strict")
    with pytest.raises(claims.ClaimFailed, match="Came out: 0.28. Recorded: nothing"):
        claim("share", 0.28, above=0.3)


@pytest.mark.parametrize("profile", ["smoke", "gpu"])
def test_claims_are_about_the_profile_cpu(monkeypatch, capsys, profile):
    monkeypatch.setenv("QUEEN_CLAIMS", "strict")
    claims.Claims("00_of_another_book", profile)("share", 0.28, above=0.3)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value, bounds", [(0.4, {}), ([], {"above": 0.3})])
def test_a_claim_without_bound_or_number_is_refused(claim, value, bounds):
    with pytest.raises(ValueError, match="expected"):
        claim("share", value, **bounds)


def test_numbers_are_written_where_asked(claim, monkeypatch, tmp_path):
    monkeypatch.setenv("QUEEN_CLAIMS_TO", str(tmp_path / "claims"))
    claim("share", [0.2, 0.5], above=0.1)
    claim("share", 0.05, above=0.1)
    lines = [json.loads(line) for line in (tmp_path / "claims").read_text().splitlines()]
    assert [(line["low"], line["high"], line["holds"]) for line in lines] == [
        (0.2, 0.5, True),
        (0.05, 0.05, False),
    ]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_names_and_bounds_are_written_out(path):
    for one in claimed.claims_in(path):
        assert isinstance(one.name, str) and one.name
        assert {type(one.above), type(one.below)} <= {int, float, type(None)}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_bound_lies_a_recorded_range_outside_of_the_record(path):
    runs = [run for run in claims.runs() if run["chapter"] == path.stem and not run["failed"]]
    for one in claimed.claims_in(path):
        held = [run for run in runs if one.name in run["claims"]]
        recorded = {(run["seed"], run["threads"]) for run in held}
        assert recorded >= set(seeds.RUNS), (
            f"not recorded with every seed: {one.name!r} (make seeds)"
        )
        space = claimed.room(one, held)
        assert space >= claimed.ROOM, f"{one.name!r}: room for {space:.2f} recorded ranges"


NUMBERS = st.floats(-10, 10)


@given(st.lists(NUMBERS, min_size=1), NUMBERS, NUMBERS, st.floats(0.1, 10))
def test_room_does_not_depend_on_unit_or_origin(values, above, shift, scale):
    """Room is counted in recorded ranges, so it is the same in percent and in shares."""

    def room(move):
        runs = [{"chapter": "x", "claims": {"a": [move(v), move(v)]}} for v in values]
        return claimed.room(claimed.Claim("x", "a", move(above), None), runs)

    there, here = room(lambda v: scale * v + shift), room(lambda v: v)
    if max(values) - min(values) > 1e-3:
        assert there == pytest.approx(here, rel=1e-6, abs=1e-6)


def test_room_of_one_recorded_value_is_all_or_nothing():
    runs = [{"chapter": "x", "claims": {"a": [0.5, 0.5]}}] * 2
    assert claimed.room(claimed.Claim("x", "a", 0.4, 0.6), runs) == math.inf
    assert claimed.room(claimed.Claim("x", "a", 0.5, None), runs) == -math.inf
    assert math.isnan(claimed.room(claimed.Claim("x", "b", 0.4, None), runs))


@pytest.mark.parametrize("worst", [math.inf, math.nan])
def test_a_record_that_is_no_number_leaves_no_room(worst):
    runs = [{"chapter": "x", "claims": {"a": [high, high]}} for high in (worst, 16.0)]
    assert claimed.room(claimed.Claim("x", "a", None, 40), runs) == -math.inf


HEAD = """\
---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""
CELLS = 'claim("a", x, above=1)\n%pip install y\nshow(x, alt="rays")'


@pytest.fixture
def chapter(tmp_path):
    """Write a chapter of one cell beside an empty package."""

    def write(cell):
        path = tmp_path / "01_x.md"
        path.write_text(f"{HEAD}```{{code-cell}}\n{cell}\n```\n")
        return path

    return write


@pytest.mark.parametrize(
    "change, same",
    [
        (("above=1", "above=2"), True),
        (('"rays"', '"clumps"'), True),
        (("\n%", "  # so far\n%"), True),
        (('claim("a", x, above=1)\n', ""), True),
        (("show(x", "show(z"), False),
    ],
)
def test_the_key_holds_what_decides_a_number(chapter, tmp_path, change, same):
    first = claimed.key(chapter(CELLS), tmp_path)
    assert (first == claimed.key(chapter(CELLS.replace(*change)), tmp_path)) is same


@pytest.mark.parametrize(
    "change, same", [(("above=1", "above=2"), True), (("x,", "z,"), False), (('"a"', '"b"'), False)]
)
def test_a_claims_code_is_its_name_and_what_it_holds(chapter, change, same):
    (first,), (second,) = (
        claimed.claims_in(chapter(text)) for text in (CELLS, CELLS.replace(*change))
    )
    assert (first.code == second.code) is same


def test_the_key_holds_the_package(chapter, tmp_path):
    path = chapter("pass")
    (tmp_path / "queen_ref").mkdir()
    keys = []
    for text in ("a = 1", "a = 1  # one", "a = 2"):
        (tmp_path / "queen_ref" / "a.py").write_text(text)
        keys.append(claimed.key(path, tmp_path))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("text", ['claim(f"{x}", 1, above=0)', 'claim("a", 1, above=x)'])
def test_a_claim_that_is_not_written_out_is_refused(chapter, text):
    with pytest.raises(ValueError, match="written out"):
        claimed.claims_in(chapter(text))


def test_a_name_stands_for_one_number(chapter):
    with pytest.raises(ValueError, match="one place"):
        claimed.claims_in(chapter('claim("a", 1, above=0)\nclaim("a", 2, above=0)'))
