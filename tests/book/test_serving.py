"""The page Serving: threads, several workers, one memory for all, and what a crash takes."""

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from blocks import Blocks, blocks
from hurry import at_once

import queen_ref as qr
from benchmarks import memories, serving
from benchmarks.keeper import Keeper, Saver, serve
from benchmarks.one_memory import running, share, workers
from benchmarks.worker import Refused, ask_all, connect

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book" / "serving.md").read_text()
EAGER = qr.QueenConfig(threshold=0.005, shadows=1, shadows_per_query=1, map_epochs=10)
QUERIES = blocks(600, seed=1)[0]
PATIENCE = 120


@pytest.fixture(scope="module")
def fitted():
    return qr.Queen.fit(Blocks(), *blocks(200), EAGER, seed=0)


@pytest.fixture
def queen(fitted):
    return fitted.fresh()


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE} s"
        time.sleep(0.02)


# One process with threads.


def test_eight_threads_are_answered_as_one_that_asks_in_some_order(queen, monkeypatch):
    order, asking, keep = [], threading.local(), queen._clients.keep

    def logged(*verdict) -> bool:
        with queen._clients.lock:  # whoever holds it may take it again
            kept = keep(*verdict)
            if kept:
                order.append(asking.number)
            return kept

    def ask(number):
        asking.number = number
        return queen(QUERIES[number][None], client="alice")

    monkeypatch.setattr(queen._clients, "keep", logged)
    answers = at_once(ask, range(200))
    alone = queen.fresh()
    for number in order:
        torch.testing.assert_close(answers[number], alone(QUERIES[number][None], client="alice"))
    assert sorted(order) == list(range(200))
    assert queen.report("alice") == alone.report("alice")
    assert alone.report("alice")["reversed"] > 0, "expected a client who is answered in all ways"


def test_who_waits_for_the_network_holds_up_nobody(queen, monkeypatch):
    begun, gate, features = threading.Event(), threading.Event(), queen.victim.features

    def slow(images):
        if len(images) == 7:
            begun.set()
            assert gate.wait(PATIENCE)
        return features(images)

    monkeypatch.setattr(queen.victim, "features", slow)
    waits = threading.Thread(target=queen, args=(QUERIES[:7], "alice"))
    waits.start()
    assert begun.wait(PATIENCE)
    queen(QUERIES[:1], client="alice")
    queen.state_dict()
    assert queen.report("alice")["queries"] == 1 and waits.is_alive()
    gate.set()
    waits.join()
    assert queen.report("alice")["queries"] == 8


def test_of_the_defences_with_a_memory_only_queen_can_be_saved(queen):
    assert hasattr(queen, "save") and not hasattr(qr.defenses.ModelGuardS, "save")


# Workers that know nothing of each other.


def test_every_worker_has_a_budget_and_a_ledger_of_its_own(queen):
    found = {n: memories.apart(queen, QUERIES.split(50), n) for n in (1, 2, 4)}
    assert [row["served"] for row in found.values()] == [400, 800, 1600]
    assert [row["queries"] for row in found.values()] == [600, 600, 600]
    assert found[1]["reversed"] > found[2]["reversed"] > found[4]["reversed"]
    assert found[1]["inside"] == found[4]["inside"] and queen.report("alice")["queries"] == 0


# Workers that share one memory.


def test_four_workers_serve_one_budget_exactly(queen):
    found = share(Keeper(queen, budget=400), QUERIES.numpy())
    report = found.pop("report")
    assert found == {"asked": 600, "answered": 400, "refused": 200}
    assert report["queries"] == 400


def test_four_workers_count_and_answer_as_one_process_does(queen):
    found = []
    with running(Keeper(queen, budget=150)) as (_, address, key), workers(4) as pool:
        for number, image in enumerate(QUERIES[:160].numpy()):
            day = pool[number % 4].submit(ask_all, address, key, "alice", image[None])
            found.append(day.result())
        report = connect(address, key).report("alice")
    alone = queen.fresh()
    wanted = [alone(image[None], client="alice") for image in QUERIES[:150]]
    answers = torch.from_numpy(np.concatenate([a for answers, _ in found for a in answers]))
    torch.testing.assert_close(answers, torch.cat(wanted))
    assert report == alone.report("alice") and report["reversed"] > 0
    refusals = [text for _, texts in found for text in texts]
    assert refusals == ["1 queries asked, 0 of 150 left"] * 10


def test_a_worker_needs_no_torch():
    code = "import sys, benchmarks.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_bad_images_come_back_as_the_error_they_are_and_cost_nothing(queen):
    with running(Keeper(queen, budget=10)) as (_, address, key):
        keeper = connect(address, key)
        with pytest.raises(ValueError, match="images: expected"):
            keeper.ask("alice", QUERIES[:1].numpy() + 2)
        with pytest.raises(Refused, match="11 queries asked, 10 of 10 left"):
            keeper.ask("alice", QUERIES[:11].numpy())
        assert keeper.ask("alice", QUERIES[:10].numpy()).shape == (10, 4)


# What a crash takes.


def test_a_budget_outlives_a_forgotten_client_until_the_restart(queen):
    bounded = queen.with_settings(max_clients=1)
    keeper, one = Keeper(bounded, budget=10), QUERIES[:10].numpy()
    keeper.ask("alice", one)
    keeper.ask("bob", one[:1])
    assert keeper.report("alice")["queries"] == 0
    with pytest.raises(Refused, match="0 of 10 left"):
        keeper.ask("alice", one[:1])
    again = Keeper(bounded, budget=10)
    again.ask("alice", one)


def known_of(path, victim) -> int:
    return qr.Queen.load(victim, path).report("alice")["queries"] if path.exists() else 0


def test_a_killed_keeper_loses_what_was_answered_since_the_last_save(queen, tmp_path):
    path = tmp_path / "queen.pt"
    with running(Keeper(queen, 400, path, after=50, seconds=3600)) as (process, address, key):
        ask_all(address, key, "alice", QUERIES[:50].numpy())
        wait_until(lambda: known_of(path, queen.victim) == 50)
        ask_all(address, key, "alice", QUERIES[50:80].numpy())
        process.kill()
        process.join()
    assert known_of(path, queen.victim) == 50
    again = qr.Queen.load(queen.victim, path)
    alone = queen.fresh()
    for image in QUERIES[:50]:
        alone(image[None], client="alice")
    assert again.report("alice") == alone.report("alice")
    keeper = Keeper(again, budget=60)
    with pytest.raises(Refused, match="11 queries asked, 10 of 60 left"):
        keeper.ask("alice", QUERIES[:11].numpy())


@pytest.mark.parametrize("tries", [0, 2])
def test_a_keeper_killed_while_it_saves_can_be_started_again_but_no_second_one(
    queen, tmp_path, tries
):
    path = tmp_path / "queen.pt"
    keeper = Keeper(queen, 400, path, after=1)
    with running(keeper) as (process, address, key):
        old = connect(address, key)
        with pytest.raises(ValueError, match="address: expected one that is free"):
            serve(keeper, address, key)
        wait_until(lambda: old.ask("alice", QUERIES[:1].numpy()).any() and path.exists())
        for image in QUERIES[:20].numpy():
            old.ask("alice", image[None])
        process.kill()
        process.join()
        assert 1 <= known_of(path, queen.victim) <= 400
        for _ in range(tries):  # nobody, or somebody, asks while it is dead
            with pytest.raises((EOFError, ConnectionError)):
                old.ask("alice", QUERIES[:1].numpy())
        with running(keeper, address, key) as (_, address, key):
            assert connect(address, key).ask("alice", QUERIES[:1].numpy()).shape == (1, 4)


def test_a_keeper_that_is_asked_to_stop_saves(queen, tmp_path):
    path = tmp_path / "queen.pt"
    with running(Keeper(queen, 400, path, after=10**9, seconds=3600)) as (process, address, key):
        ask_all(address, key, "alice", QUERIES[:30].numpy())
        process.terminate()
        process.join()
        assert process.exitcode == 0
    assert known_of(path, queen.victim) == 30


def test_it_is_saved_after_so_many_images_or_after_a_while():
    saved = []
    many = Saver(lambda: saved.append("many"), after=10, seconds=3600)
    many.answered(9)
    assert not saved
    many.answered(1)
    wait_until(lambda: saved == ["many"])
    late = Saver(lambda: saved.append("late"), after=10**9, seconds=0.01)
    late.answered(1)
    wait_until(lambda: saved == ["many", "late"])
    time.sleep(0.1)
    assert saved == ["many", "late"], "expected nothing more while nobody asks"
    many.close()
    late.close()
    assert saved == ["many", "late", "many", "late"]


def test_a_full_disk_is_said_and_tried_again(capsys):
    tries = []

    def save():
        tries.append(None)
        if len(tries) == 1:
            raise OSError(28, "No space left on device")

    saver = Saver(save, after=1, seconds=0.01)
    saver.answered(1)
    wait_until(lambda: len(tries) == 2)
    saver.close()
    assert capsys.readouterr().err == "not saved: [Errno 28] No space left on device\n"


# The page and its record.


def blocks_of_code() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE, re.S)


def test_the_pages_three_pieces_of_code_run(queen, tmp_path, monkeypatch, capsys):
    service, worker, one_process = blocks_of_code()
    names = {"queen": queen, "images": QUERIES[:400]}
    monkeypatch.chdir(tmp_path)
    exec(compile(one_process, "page", "exec"), names)
    assert known_of(tmp_path / "queen.pt", queen.victim) == 400

    queen.fresh().save("queen.pt")
    (tmp_path / "private").mkdir()
    key = "key = b'for this test'\n"
    (tmp_path / "service.py").write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
        f"from blocks import Blocks\nvictim = Blocks()\n{key}{service}"
    )
    process = subprocess.Popen([sys.executable, "service.py"])
    try:
        wait_until(lambda: (tmp_path / "private" / "socket").exists())
        names = {"images": QUERIES[:400].numpy()}
        exec(compile(key + worker, "page", "exec"), names)
        assert names["probs"].shape == (400, 4) and not capsys.readouterr().out
        exec(compile(key + worker, "page", "exec"), names)
        assert capsys.readouterr().out == "400 queries asked, 0 of 400 left\n"
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_record_is_complete_and_bears_out_the_page():
    record = json.loads((ROOT / "book" / "results" / "serving.json").read_text())
    assert not record["quick"] and set(serving.PARTS) <= set(record)
    assert {"processor", "device", "python", "torch"} <= set(record["machine"])
    rows = record["memories"]
    assert {(r["seed"], r["workers"]) for r in rows} == {
        (seed, n) for seed in memories.SEEDS for n in memories.WORKERS
    }
    assert all(r["served"] == r["budget"] * r["workers"] for r in rows)
    assert record["shared"][0]["answered"] == record["shared"][0]["budget"] == memories.BUDGET
    assert record["clients"][-1]["clients"] == 100_000 and record["long"][-1]["images"] == 20_000
    assert all(f'record["{part}"]' in PAGE for part in serving.PARTS), "the page shows every part"


def test_the_program_runs_and_saves(tmp_path, capsys):
    out = tmp_path / "new" / "serving.json"
    serving.main(["--quick", "--only", "clients", "long", "threads", "--out", str(out)])
    record = json.loads(out.read_text())
    assert record["quick"] and record["clients"][0]["clients"] == 100
    assert record["long"][1]["images"] == 2000 and record["threads"][0]["median"] > 0
    assert "bytes a client" in capsys.readouterr().out
