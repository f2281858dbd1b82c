"""Engines: an outcome is a result or the exception that ended the cell, wherever it ran."""

import os
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest
from engine import TWELVE, Quiet, die_once, run_or_fail, sleep_long
from results import CELL

from queen_ref.arena import Results, read, run_grid
from queen_ref.arena.engines import AGAIN, Local, Processes, outcome_of
from queen_ref.arena.own import Own
from queen_ref.attacks import Attack


def test_an_outcome_is_a_result_or_an_exception():
    def fail():
        raise KeyError("gone")

    assert outcome_of(lambda: {"a": 1}) == {"a": 1}
    assert isinstance(outcome_of(fail), KeyError)


def test_one_after_another_in_this_process():
    engine = Local("parts", run_or_fail)
    ((cell, measured),) = engine.wait([engine.submit(CELL)])
    assert cell == CELL and measured["process"] == os.getpid() and measured["cache"] == "parts"
    ((_, failed),) = engine.wait([engine.submit(replace(CELL, attack="s4l"))])
    assert isinstance(failed, RuntimeError)


def test_several_at_a_time_in_processes_of_their_own(tmp_path):
    results = Results(tmp_path / "r.jsonl")
    summary = run_grid(TWELVE, results, Processes(2, "parts", run_or_fail), show=Quiet(12))
    assert len(summary.done) == 8 and not summary.left
    assert {str(error) for _, error in summary.failed} == {"out of luck"}
    lines = read(results.path)
    assert {one["cache"] for one in lines} == {"parts"}
    assert os.getpid() not in {one["process"] for one in lines}


def test_a_cell_with_methods_of_ones_own_is_not_sent_without_them():
    engine = Processes(1)
    with pytest.raises(ValueError, match="own: expected what the cells brought along"):
        engine.submit(replace(CELL, own=Own(attacks={"mine": Attack()})))
    engine.close()


def test_a_worker_that_is_killed_costs_its_own_cell_at_most(tmp_path):
    engine, results = Processes(2, str(tmp_path), die_once), Results(tmp_path / "r.jsonl")
    summary = run_grid(TWELVE[:3], results, engine, show=Quiet(3))
    ((lost, error),) = summary.failed
    assert lost.attack == "s4l" and isinstance(error, BrokenProcessPool) and not summary.left
    assert {one["attack"] for one in read(results.path)} == {"naive", "top1"}
    begun = {cell.attack: (tmp_path / cell.key).stat().st_size for cell in TWELVE[:3]}
    assert AGAIN <= begun["s4l"] <= 1 + AGAIN and begun["top1"] >= 2
    assert not engine.alone


def test_a_run_that_ends_early_takes_its_workers_with_it(tmp_path):
    engine = Processes(1, str(tmp_path), sleep_long)
    job = engine.submit(CELL)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert not job.future.done(), job.future.exception()
        time.sleep(0.05)
    begun = time.monotonic()
    engine.close()
    assert time.monotonic() - begun < 60 and job.future.done()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
