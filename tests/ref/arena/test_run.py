"""A run: goes on, skips, survives a cell that fails, ends in time, and can be killed."""

import json
import random
import subprocess
import sys
import time

from engine import TWELVE, Fake, Quiet, wait_for_lines
from results import line

from queen_ref.arena import Results, grid, read, run_grid


def test_a_run_goes_on_where_another_stopped(tmp_path):
    results = Results(tmp_path / "r.jsonl")
    for cell in TWELVE[:5]:
        results.append(line(cell))
    engine = Fake()
    summary = run_grid(TWELVE, Results(results.path), engine, show=Quiet(12))
    assert engine.seen == TWELVE[5:] == summary.done and not summary.left
    assert len(read(results.path)) == 12 and engine.closed
    assert not run_grid(TWELVE, Results(results.path), Fake(), show=Quiet(12)).done


def test_a_cell_that_another_run_measured_meanwhile_is_skipped(tmp_path):
    path = tmp_path / "r.jsonl"

    def both(cell):
        if cell == TWELVE[0]:
            for other in TWELVE[6:]:
                Results(path).append(line(other))
        return line(cell)

    engine = Fake(both)
    run_grid(TWELVE, Results(path), engine, show=Quiet(12))
    assert engine.seen == TWELVE[:6] and len(read(path)) == 12


def test_a_cell_that_fails_is_told_and_does_not_end_the_run(tmp_path, capsys):
    def run(cell):
        if cell.attack == "s4l":
            raise RuntimeError("out of luck\nand more")
        return line(cell)

    summary = run_grid(TWELVE, Results(tmp_path / "r.jsonl"), Fake(run))
    assert len(summary.done) == 8 and len(summary.failed) == 4
    assert "FAILED s4l x random x none, seed 0: RuntimeError: out of luck\n" in (
        capsys.readouterr().err
    )


def test_a_time_limit_begins_no_cell_that_would_not_fit(tmp_path):
    results = Results(tmp_path / "r.jsonl")
    for cell in (TWELVE[0], TWELVE[1], TWELVE[2]):
        results.append(line(cell, total=1e5 if cell.attack == "s4l" else 1.0))
    engine = Fake()
    summary = run_grid(TWELVE, Results(results.path), engine, time_limit=6e4, show=Quiet(12))
    assert {cell.attack for cell in engine.seen} == {"naive", "top1"}
    assert summary.left == [cell for cell in TWELVE[3:] if cell.attack == "s4l"]


def test_no_time_begins_nothing(tmp_path):
    engine = Fake()
    summary = run_grid(TWELVE, Results(tmp_path / "r.jsonl"), engine, 0.0, Quiet(12))
    assert not engine.seen and summary.left == TWELVE


def test_killed_at_any_moment_the_same_command_finishes_the_rest(parts, tmp_path):
    out = tmp_path / "r.jsonl"
    command = [
        sys.executable, "-m", "queen_ref.cli", "arena", "--profile", "smoke",
        "--attacks", "naive,s4l", "--policies", "random", "--defenses", "none,top1,rounding",
        "--seeds", "0", "--cache-dir", str(parts), "--out", str(out),
    ]  # fmt: skip
    count = random.randrange(6)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_lines(out, count, lambda: process.poll() is None)
    time.sleep(random.random())  # somewhere in the next cell
    process.kill()
    process.wait()
    kept = out.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, f"killed after {count}: {told.stderr}"
    assert out.read_bytes().startswith(kept)
    keys = [json.loads(text)["key"] for text in out.read_text().splitlines()]
    cells = grid("smoke", ["naive", "s4l"], ["random"], ["none", "top1", "rounding"], [0])
    assert sorted(keys) == sorted(cell.key for cell in cells), f"killed after {count}"
