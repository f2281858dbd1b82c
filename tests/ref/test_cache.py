"""The cache: parts made once, damaged ones made again, files written whole, one at a time."""

import errno
import hashlib
import os
import pickle
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from queen_ref.cache import Cache, default_folder, locked, write_whole


def test_a_part_is_made_once_and_again_only_for_something_else(tmp_path):
    cache, made = Cache(tmp_path), []
    part = {"weight": torch.arange(3.0)}
    for depends in ({"seed": 0}, {"seed": 0}, {"seed": 1}):
        entry = cache.get("victim", depends, lambda: made.append(1) or part)
        assert torch.equal(entry["weight"], part["weight"])
    assert len(made) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no sum", "wrong sum", "a folder"])
def test_a_damaged_part_is_made_again(tmp_path, capsys, damage):
    cache = Cache(tmp_path)
    cache.get("victim", {}, lambda: {"weight": torch.zeros(1000)})
    path = cache.path("victim", {})
    total = path.with_name(path.name + ".sha256")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no sum":
        total.unlink()
    elif damage == "wrong sum":
        total.write_bytes(b"\xff\xfe")
    else:
        total.unlink()
        total.mkdir()
        with pytest.raises(OSError):
            cache.get("victim", {}, lambda: {"weight": torch.ones(1)})
        return
    entry = cache.get("victim", {}, lambda: {"weight": torch.ones(1)})
    assert entry["weight"].tolist() == [1.0]
    assert "damaged" in capsys.readouterr().err or damage == "no sum"
    assert Cache(tmp_path).get("victim", {}, lambda: 1 / 0)["weight"].tolist() == [1.0]


def test_a_part_that_would_run_code_is_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/exploded",)

    cache = Cache(tmp_path)
    path = cache.path("victim", {})
    path.write_bytes(pickle.dumps(Bomb(), protocol=2))
    total = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(total)
    assert cache.get("victim", {}, lambda: "made") == "made"
    assert not (tmp_path / "exploded").exists()


def test_a_cache_that_cannot_be_written_is_said_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cache: cannot write"):
        Cache(tmp_path / "file")


def test_the_folder_is_the_users_or_the_one_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QUEEN_CACHE", "")
    assert default_folder() == tmp_path / ".cache" / "queen_ref"
    monkeypatch.setenv("QUEEN_CACHE", "~/parts")
    assert default_folder() == Cache().folder == tmp_path / "parts"


def test_two_processes_that_need_one_part_make_it_once(tmp_path):
    def make():
        time.sleep(0.2)
        with open(tmp_path / "made", "a") as file:
            file.write("once ")
        return 1

    context = get_context("fork")
    crowd = [
        context.Process(target=lambda: Cache(tmp_path).get("part", {}, make)) for _ in range(3)
    ]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert [process.exitcode for process in crowd] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "once "


# Files written whole -------------------------------------------------------------------


def test_a_file_is_the_old_one_or_the_new_one_whatever_happens_in_between(tmp_path):
    path = tmp_path / "file"

    def half(file):
        file.write(b"ne")
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    write_whole(path, b"old")
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, half)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    write_whole(str(path), lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_none_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "file", b"")
    (tmp_path / "file").touch()
    with pytest.raises(OSError), locked(tmp_path / "file" / "file"):
        pass


def hold(path: Path, ready: Path):
    with locked(path):
        ready.touch()
        time.sleep(600)


def test_one_at_a_time_and_a_lock_ends_with_who_holds_it(tmp_path):
    path, inside, most = tmp_path / "file", [], []

    def turn():
        with locked(path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=turn) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5

    holder = get_context("fork").Process(target=hold, args=(path, tmp_path / "ready"))
    holder.start()
    while not (tmp_path / "ready").exists():
        assert holder.is_alive()
        time.sleep(0.01)
    holder.kill()
    holder.join()
    turn()
    assert not path.exists()  # only its lock was made


# A machine that is not as ours -----------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOLCK, "No locks available"),
        OSError(errno.EOPNOTSUPP, "Operation not supported"),
        OSError(errno.ENOSPC, "No space left on device"),
        NotImplementedError("FileSystem does not appear to support flock"),
    ],
    ids=["none left", "not supported", "full", "not implemented"],
)
def test_without_locks_it_goes_on_and_says_so_once(tmp_path, monkeypatch, capsys, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    for _ in range(2):
        with locked(tmp_path / "file"):
            write_whole(tmp_path / "file", b"new")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(tmp_path) in said and "one process at a time" in said


def test_an_error_inside_the_lock_is_not_taken_for_a_missing_lock(tmp_path, capsys):
    with pytest.raises(OSError, match="full"), locked(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "full")
    assert not capsys.readouterr().err
    with locked(tmp_path / "file"):  # and it was let go
        pass


@pytest.mark.parametrize("path", ["~/parts", "~ghost/parts", None])
def test_without_a_home_the_cache_is_refused_in_one_line(homeless, monkeypatch, path):
    if path:
        monkeypatch.setenv("QUEEN_CACHE", path)
    with pytest.raises(ValueError, match="^cache: expected a folder, found no home for ~"):
        Cache()


def test_without_a_home_a_cache_that_is_named_needs_none(homeless, monkeypatch, tmp_path):
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "parts"))
    assert Cache().folder == tmp_path / "parts"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_costs_the_entry_and_not_the_part(tmp_path, monkeypatch, capsys, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    cache = Cache(tmp_path)
    assert cache.get("victim", {}, lambda: "trained") == "trained"
    assert cache.get("victim", {}, lambda: "again") == "again"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "No space left on device" in said
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_part_whose_sum_found_no_room_is_made_again(tmp_path, monkeypatch, capsys):
    cache, once = Cache(tmp_path), os.replace

    def full(part, path):
        if str(path).endswith(".sha256"):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        once(part, path)

    monkeypatch.setattr(os, "replace", full)
    assert cache.get("victim", {}, lambda: 1) == 1
    monkeypatch.setattr(os, "replace", once)
    assert cache.get("victim", {}, lambda: 2) == cache.get("victim", {}, lambda: 3) == 2
    assert not list(tmp_path.glob(".*.part"))
