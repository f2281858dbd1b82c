"""The results file under every mishap: torn, foreign, not to be written, written by several."""

import errno
import json
import os
import random
import time
from dataclasses import replace
from multiprocessing import get_context

import pytest
from engine import wait_for_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from results import CELL, line

from queen_ref.arena import Results, read
from queen_ref.arena.cells import FORMAT


def test_what_is_appended_can_be_read_by_another(tmp_path):
    mine, other = Results(tmp_path / "r.jsonl"), Results(tmp_path / "r.jsonl")
    assert mine.append(line()) and not mine.append(line())
    assert not other.append(line())
    assert other.append(line(replace(CELL, seed=1)))
    assert [one["seed"] for one in read(tmp_path / "r.jsonl")] == [0, 1]
    first = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])
    assert first["format"] == FORMAT and first["key"] == CELL.key


@settings(max_examples=40)
@given(cut=st.integers(0, 400))
def test_a_torn_last_line_is_cut_off_wherever_it_was_torn(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "r.jsonl"
    Results(path).append(line())
    whole = path.read_bytes()
    Results(path).append(line(replace(CELL, seed=1)))
    second = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + second[: min(cut, len(second) - 1)])
    results = Results(path)
    assert list(results.lines) == [CELL.key]
    assert results.append(line(replace(CELL, seed=2)))
    assert [one["seed"] for one in read(path)] == [0, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"My notes\n", "found other text"),
        (b"My notes, no newline", "found other text"),
        (b'{"format": 1, "key": \n', "found other text"),
        (b'{"format": 999, "key": "a"}\n', "expected format .*, found 999"),
        (b'{"format": %d}\n' % FORMAT, "expected a key"),
        (b"[1, 2]\n", "found other text"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path, content, message):
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Results(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", [".", "missing/r.jsonl", "file/r.jsonl"])
def test_a_file_that_cannot_be_written_is_said_at_once(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be (read|written)"):
        Results(tmp_path / name).open_for_append()


def append_many(path, seed):
    """A process that appends cells 0..39 in an order of its own, others at its side."""
    numbers = list(range(40))
    random.Random(seed).shuffle(numbers)
    results = Results(path)
    for number in numbers:
        results.append(line(replace(CELL, seed=number), note="x" * 5000))


def test_several_processes_neither_tear_nor_double_a_line(tmp_path, monkeypatch):
    path, context = tmp_path / "r.jsonl", get_context("fork")
    # Between looking and writing: without the lock others would come in between.
    cut = os.ftruncate
    monkeypatch.setattr(os, "ftruncate", lambda *where: time.sleep(0.002) or cut(*where))
    crowd = [context.Process(target=append_many, args=(path, seed)) for seed in range(4)]
    for process in crowd:
        process.start()
    wait_for_lines(path, 1, crowd[1].is_alive)
    crowd[0].kill()
    for process in crowd:
        process.join()
    assert all(process.exitcode == 0 for process in crowd[1:])
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert sorted(one["seed"] for one in lines) == list(range(40))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_one_line_and_leaves_the_file_as_it_was(tmp_path, monkeypatch, number):
    results = Results(tmp_path / "r.jsonl")
    results.append(line())
    before = results.path.read_bytes()

    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=f"cannot be written .{os.strerror(number)}"):
        results.append(line(replace(CELL, seed=1)))
    assert results.path.read_bytes() == before
    monkeypatch.undo()
    assert results.append(line(replace(CELL, seed=1)))


def test_without_locks_results_are_written_all_the_same(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    results = Results(tmp_path / "r.jsonl")
    assert results.append(line()) and not results.append(line())
    assert len(read(results.path)) == 1 and "one process at a time" in capsys.readouterr().err
