"""book/tools/seeds.py: what it runs, what it keeps, and when it runs something again."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import claimed
import pytest
import seed_record
import seeds

ROOT = Path(__file__).resolve().parents[2]

STEM = "05_queen_end_to_end"
WHAT = ("cpu", STEM, 1, 0)
NOW = {STEM: ("now", ["c1"])}


def run_of(what=WHAT, failed=None, code="now", machine="here", **held) -> dict:
    profile, chapter, threads, seed = what
    return dict(profile=profile, chapter=chapter, threads=threads, seed=seed, machine=machine,
                code=code, claimed=["c1"], failed=failed, seconds=1.0, claims=held)  # fmt: skip


@pytest.fixture
def record(tmp_path):
    return seed_record.Record(tmp_path / "seeds.jsonl")


def test_a_run_replaces_the_same_run_of_the_same_machine(record):
    for run in (run_of(code="old"), run_of(), run_of(machine="there"), run_of(WHAT[:3] + (1,))):
        record.add(run)
    again = seed_record.Record(record.path)
    assert again.runs == record.runs
    assert [(r["seed"], r["machine"], r["code"]) for r in again.runs] == [
        (0, "here", "now"), (0, "there", "now"), (1, "here", "now")]  # fmt: skip


@pytest.fixture
def one_claim(monkeypatch):
    one = claimed.Claim(STEM, "accuracy", 0.5, None)
    monkeypatch.setattr(seed_record, "claims_in", lambda path: [one])


def test_the_table_tells_fine_failed_broken_old_and_missing_apart(record, one_claim):
    for seed, run in enumerate([
        dict(accuracy=[0.9, 0.9]), dict(failed="AssertionError"), dict(accuracy=[0.4, 0.9]),
        dict(code="old"),
    ]):  # fmt: skip
        record.add(run_of(WHAT[:3] + (seed,), **run))
    wanted = [WHAT[:3] + (seed,) for seed in range(5)]
    title, row, _ = seed_record.table(record, NOW, wanted)
    assert title.split() == ["cpu,", "1", "thread", "0", "1", "2", "3", "4"]
    assert row.split() == [STEM, "ok", "FAIL", "claim", "old", "-"]


@pytest.mark.parametrize("claims, fresh", [([], 1), (["c1"], 1), (["c1", "c2"], 0)])
def test_a_claim_that_goes_costs_no_run_and_a_new_one_does(record, claims, fresh):
    record.add(run_of())
    assert len(record.fresh({STEM: ("now", claims)})) == fresh


def test_findings_are_failures_bounds_without_room_and_what_is_not_recorded(record, one_claim):
    assert "nothing is recorded" in seed_record.findings(record, NOW)[0]
    record.add(run_of(accuracy=[0.9, 0.9]))
    assert seed_record.findings(record, NOW) == []
    record.add(run_of(WHAT[:3] + (1,), accuracy=[0.6, 0.9]))
    (tight,) = seed_record.findings(record, NOW)
    assert "was 0.6 to 0.9" in tight and "0.33 ranges" in tight
    record.add(run_of(WHAT[:3] + (1,), failed="AssertionError: x"))
    assert seed_record.findings(record, NOW) == [f"cpu {STEM} 1 1: AssertionError: x"]


@pytest.mark.parametrize("text, found", [("0-3,8", [0, 1, 2, 3, 8]), ("7", [7])])
def test_numbers_on_the_command_line(text, found):
    assert seeds.numbers(text) == found


@pytest.mark.parametrize("text", ["", "a", "1-", "1,,2"])
def test_other_words_than_numbers_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected numbers"):
        seeds.numbers(text)


@pytest.mark.parametrize("option", ["--profiles", "--chapters"])
def test_an_unknown_word_is_refused_before_anything_runs(option):
    command = [sys.executable, ROOT / "book" / "tools" / "seeds.py", option, "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "expected some of" in done.stderr


def main(monkeypatch, out, *options) -> list[tuple]:
    """What is run, when every run takes no time."""
    asked = []

    def execute(chapter, profile, seed, threads):
        asked.append((profile, chapter.stem, threads, seed))
        return {"failed": None, "seconds": 0.0, "claims": {}}

    monkeypatch.setattr(seeds, "execute", execute)
    monkeypatch.setattr(sys, "argv", ["seeds.py", "--out", str(out), "--chapters", STEM, *options])
    seeds.main()
    return asked


def test_what_is_recorded_is_not_run_again(monkeypatch, tmp_path):
    out = tmp_path / "seeds.jsonl"
    wanted = [("smoke", STEM, threads, seed) for threads in (1, 2) for seed in (3, 4)]
    options = ["--profiles", "smoke", "--seeds", "3,4"]
    assert sorted(main(monkeypatch, out, *options)) == sorted(wanted)
    assert main(monkeypatch, out, *options) == []
    assert sorted(main(monkeypatch, out, *options, "--again")) == sorted(wanted)
    assert main(monkeypatch, out, "--table") == []


def test_a_run_with_no_words_asks_every_seed_and_each_thread_count_with_several(
    monkeypatch, tmp_path
):
    asked = main(monkeypatch, tmp_path / "seeds.jsonl")
    assert len(asked) == len(set(asked)) == 2 * len(seeds.RUNS)
    for count in (1, 2):
        with_count = {seed for _, _, threads, seed in asked if threads == count}
        assert len(with_count) >= 3
    assert {seed for *_, seed in asked} == set(range(5))


@pytest.mark.parametrize("change", [{"code": "old"}, {"failed": "AssertionError"}])
def test_an_old_or_failed_run_is_run_again(monkeypatch, tmp_path, change):
    out = tmp_path / "seeds.jsonl"
    options = ["--profiles", "smoke", "--seeds", "3", "--threads", "1"]
    main(monkeypatch, out, *options)
    out.write_text(json.dumps(json.loads(out.read_text()) | change) + "\n")
    assert len(main(monkeypatch, out, *options)) == 1


CELL = """\
---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

```{{code-cell}}
:tags: [parameters]
profile = "cpu"
seed = 0
```

```{{code-cell}}
import os
from queen_book import claims
claim = claims.Claims("00_x", profile)
for value in (0.25, int(os.environ["OMP_NUM_THREADS"])):
    claim("value", value, above=3)
assert seed != 1, "one is wrong"
```
"""


@pytest.mark.parametrize("seed, failed", [(0, None), (1, "AssertionError: one is wrong")])
def test_a_run_brings_its_claims_and_its_failure(tmp_path, seed, failed):
    chapter = tmp_path / "00_x.md"
    chapter.write_text(CELL.format())
    run = seeds.execute(chapter, "cpu", seed, threads=2)
    assert run["failed"] == failed and run["claims"] == {"value": [0.25, 2.0]}
