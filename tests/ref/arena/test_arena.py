"""The arena: cells and keys, the results file under every mishap, the cache, one real cell."""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import get_context

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import queen_ref as qr
from queen_ref.arena import Cache, Cell, Results, grid, pareto_front, read, run_cell, run_grid
from queen_ref.arena.cells import FORMAT, KEEP_LABEL, suits
from queen_ref.arena.report import summarise, to_csv, to_markdown
from queen_ref.arena.run import Clock, Display
from queen_ref.attacks import ATTACKS, POLICIES
from queen_ref.defenses import DEFENSES, make

CELL = Cell("smoke", "mnist", "naive", "random", "none", 0)


def line(cell: Cell = CELL, total: float = 2.0, parts: float = 0.0, **values) -> dict:
    """A result as `run_cell` would give it, measured by nobody."""
    numbers = {
        "substitute_accuracy": 0.8,
        "substitute_accuracy_best": 0.8,
        "fidelity": 0.8,
        "protected_accuracy": 0.9,
        "protected_accuracy_after": 0.9,
        "l1": 0.1,
        "queries": 150,
        "counters": {},
        "flags": [],
        "device": "cpu",
        "seconds": {"total": total, "parts": parts},
    }
    named = {name: getattr(cell, name) for name in cell.__dataclass_fields__}
    return {"key": cell.key(), **named, **numbers, **values}


class Fake:
    """An engine that measures nothing, one cell at a time."""

    slots = 1

    def __init__(self, run=line):
        self.run, self.seen, self.closed = run, [], False

    def submit(self, cell):
        self.seen.append(cell)
        return cell

    def wait(self, handles):
        try:
            return [(handles[0], self.run(handles[0]))]
        except Exception as error:
            return [(handles[0], error)]

    def close(self):
        self.closed = True


class Quiet(Display):
    def _write(self, text):
        pass


# Cells ---------------------------------------------------------------------------------


def test_every_field_of_a_cell_decides_its_key():
    others = [
        replace(CELL, **change)
        for change in (
            {"profile": "cpu"},
            {"pool": "digits"},
            {"attack": "top1"},
            {"policy": "jbda-tr"},
            {"defense": "rounding"},
            {"seed": 1},
            {"limit": 100},
            {"queen": (("threshold", 0.1),)},
        )
    ]
    assert len({cell.key() for cell in [CELL, *others]}) == 9
    assert CELL.key() == replace(CELL).key()


def test_a_key_is_the_same_in_another_process():
    code = f"from queen_ref.arena import Cell; print({CELL!r}.key())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == CELL.key()


def test_the_grid_leaves_out_what_would_say_nothing():
    cells = grid("smoke", list(ATTACKS), POLICIES, DEFENSES, [0])
    assert len(cells) == len(set(cells)) == len({cell.key() for cell in cells})
    assert all(suits(cell.attack, cell.policy, cell.defense) for cell in cells)
    there = {(cell.attack, cell.policy, cell.defense) for cell in cells}
    assert ("ddae", "random", "none") not in there and ("ddae", "random", "queen") in there
    assert ("top1", "random", "mad") not in there and ("top1", "random", "queen") in there
    assert ("s4l", "jbda-tr", "queen") not in there and ("s4l", "random", "queen") in there
    assert {cell.attack for cell in cells} == set(ATTACKS)
    assert {cell.defense for cell in cells} == set(DEFENSES)


def test_the_defences_that_keep_the_label_are_those_that_promise_it():
    victim = qr.models.build("small_cnn", (1, 8, 8), 10)
    promised = [
        name
        for name in DEFENSES
        if not name.startswith("queen")
        and make(name, victim, outlier_exposed=victim, misinformation=victim).keeps_label
    ]
    assert not qr.Queen.keeps_label
    assert promised == [name for name in DEFENSES if name in KEEP_LABEL]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": ["nave"]}, "attacks: expected some of naive.*got 'nave'"),
        ({"defenses": ["queen", "queen"]}, "defenses: expected each once"),
        ({"seeds": []}, "seeds: expected at least one"),
        ({"seeds": [-1]}, "seeds: expected an integer >= 0"),
        ({"profile": "tpu"}, "profile"),
        ({"pool": "emnist"}, "pool"),
        ({"attacks": ["ddae"], "defenses": ["none"]}, "none does"),
    ],
)
def test_a_grid_that_is_not_one_is_refused(change, message):
    good = dict(
        profile="smoke", attacks=["naive"], policies=["random"], defenses=["queen"], seeds=[0]
    )
    with pytest.raises(ValueError, match=message):
        grid(**{**good, **change})


# The results file ----------------------------------------------------------------------


def test_what_is_appended_can_be_read_by_another(tmp_path):
    mine, other = Results(tmp_path / "r.jsonl"), Results(tmp_path / "r.jsonl")
    assert mine.append(line()) and not mine.append(line())
    assert not other.append(line())
    assert other.append(line(replace(CELL, seed=1)))
    assert [one["seed"] for one in read(tmp_path / "r.jsonl")] == [0, 1]
    first = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])
    assert first["format"] == FORMAT and first["key"] == CELL.key()


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
    assert list(results.lines) == [CELL.key()]
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


@pytest.mark.parametrize("place", [".", "missing/r.jsonl", "file/r.jsonl"])
def test_a_file_that_cannot_be_written_is_said_at_once(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be (read|written)"):
        Results(tmp_path / place).open_for_append()


def wait_for_lines(path, count, alive):
    """Until a file holds so many whole lines, or nobody is left who would write them."""
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        if not alive():
            return
        time.sleep(0.01)


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
    monkeypatch.setattr(os, "ftruncate", lambda *place: time.sleep(0.002) or cut(*place))
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


# The cache -----------------------------------------------------------------------------


def test_a_part_is_built_once_and_again_only_for_something_else(tmp_path):
    cache, built = Cache(tmp_path), []
    part = {"weight": torch.arange(3.0)}
    for depends in ({"seed": 0}, {"seed": 0}, {"seed": 1}):
        entry = cache.get("victim", depends, lambda: built.append(1) or part)
        assert torch.equal(entry["weight"], part["weight"])
    assert len(built) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no sum", "wrong sum", "a folder"])
def test_a_damaged_part_is_built_again(tmp_path, capsys, damage):
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
    import hashlib
    import pickle

    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/exploded",)

    cache = Cache(tmp_path)
    path = cache.path("victim", {})
    path.write_bytes(pickle.dumps(Bomb(), protocol=2))
    total = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(total)
    assert cache.get("victim", {}, lambda: "built") == "built"
    assert not (tmp_path / "exploded").exists()


def test_a_cache_that_cannot_be_written_is_said_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cache: cannot write"):
        Cache(tmp_path / "file")


# The run -------------------------------------------------------------------------------

TWELVE = [
    replace(CELL, attack=attack, seed=seed)
    for seed in range(4)
    for attack in ("naive", "s4l", "top1")
]


def test_a_run_goes_on_where_another_stopped(tmp_path):
    results = Results(tmp_path / "r.jsonl")
    for cell in TWELVE[:5]:
        results.append(line(cell))
    engine = Fake()
    report = run_grid(TWELVE, Results(results.path), engine, show=Quiet(12))
    assert engine.seen == TWELVE[5:] == report.done and not report.left
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

    report = run_grid(TWELVE, Results(tmp_path / "r.jsonl"), Fake(run))
    assert len(report.done) == 8 and len(report.failed) == 4
    assert "FAILED s4l x random x none, seed 0: RuntimeError: out of luck\n" in (
        capsys.readouterr().err
    )


def test_a_time_limit_begins_no_cell_that_would_not_fit(tmp_path):
    results = Results(tmp_path / "r.jsonl")
    for cell in (TWELVE[0], TWELVE[1], TWELVE[2]):
        results.append(line(cell, total=1e5 if cell.attack == "s4l" else 1.0))
    engine = Fake()
    report = run_grid(TWELVE, Results(results.path), engine, time_limit=6e4, show=Quiet(12))
    assert {cell.attack for cell in engine.seen} == {"naive", "top1"}
    assert report.left == [cell for cell in TWELVE[3:] if cell.attack == "s4l"]


def test_no_time_begins_nothing(tmp_path):
    engine = Fake()
    report = run_grid(TWELVE, Results(tmp_path / "r.jsonl"), engine, 0.0, Quiet(12))
    assert not engine.seen and report.left == TWELVE


def test_an_estimate_is_the_slowest_of_its_kind_and_the_parts_of_a_new_seed():
    clock = Clock()
    assert clock.estimate(CELL) is None
    for cell, total, parts in ((CELL, 9.0, 4.0), (replace(CELL, defense="am"), 13.0, 6.0)):
        clock.learn(line(cell, total, parts))
    assert clock.estimate(CELL) == 7.0
    assert clock.estimate(replace(CELL, seed=1)) == 7.0 + 10.0
    assert clock.estimate(replace(CELL, attack="bayes")) == 7.0


def test_plain_lines_say_what_was_measured_and_what_is_left(tmp_path, capsys):
    run_grid(TWELVE[:3], Results(tmp_path / "r.jsonl"), Fake())
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "[1/3] naive x random x none, seed 0: substitute 0.800, 2.0 s; about 4 s left"
    assert len(told) == 3 and "\r" not in "".join(told)


# The report ----------------------------------------------------------------------------


def test_seeds_become_a_mean_and_a_spread():
    rows = summarise(
        [
            line(replace(CELL, seed=seed), substitute_accuracy=value, flags=["odd"] * (seed == 0))
            for seed, value in enumerate((0.7, 0.8, 0.9))
        ]
    )
    (row,) = rows
    assert row["seeds"] == 3 and row["flags"] == {"odd": 1}
    assert row["substitute_accuracy"] == pytest.approx(0.8)
    assert row["substitute_accuracy_sd"] == pytest.approx(0.1)
    assert (row["substitute_accuracy_min"], row["substitute_accuracy_max"]) == (0.7, 0.9)
    assert "| naive | 0.800 ± 0.100 |" in to_markdown(rows) and "- odd (1)" in to_markdown(rows)
    assert to_csv(rows).splitlines()[1].startswith("smoke,mnist,random,naive,none,3,0.8")


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_front_holds_exactly_the_points_nobody_beats(points):
    front = pareto_front(points)
    assert front
    for place, (kind, stolen) in enumerate(points):
        beaten = any((x > kind and y <= stolen) or (x >= kind and y < stolen) for x, y in points)
        assert (place in front) == (not beaten)
    assert [points[place][0] for place in front] == sorted(points[place][0] for place in front)


def test_the_figures_hold_every_cell_and_every_defence():
    from queen_ref.arena.figures import heat_map, pareto

    cells = [
        replace(CELL, attack=attack, defense=defense)
        for attack in ("naive", "s4l")
        for defense in ("none", "rounding", "queen")
    ]
    rows = summarise([line(cell, substitute_accuracy=0.1 * n) for n, cell in enumerate(cells)])
    drawn = heat_map(rows).data[0]
    assert list(drawn.x) == ["none", "rounding", "queen"] and list(drawn.y) == ["naive", "s4l"]
    assert drawn.z[1] == pytest.approx((0.3, 0.4, 0.5))
    named = [trace.name for trace in pareto(rows).data if trace.showlegend is not False]
    assert named == ["Pareto front", "none", "rounding", "queen"]
    with pytest.raises(ValueError, match="several"):
        heat_map(rows + rows)


def test_a_sweep_is_drawn_one_panel_a_setting():
    from queen_ref.arena.figures import sweeps

    def line(name, value, accuracy):
        measures = {"substitute_accuracy": accuracy, "protected_accuracy_after": 0.9}
        return {"queen": {name: value}, **measures}

    lines = [line("threshold", 0.1, a) for a in (0.4, 0.6)]
    lines += [line("threshold", 0.01, 0.2), line("spacing", 0.1, 0.3)]
    fig = sweeps(lines)
    thief = fig.data[0]
    assert list(thief.x) == [0.01, 0.1] and list(thief.y) == pytest.approx([0.2, 0.5])
    assert list(thief.error_y.array) == pytest.approx([0.0, 0.1])
    assert [fig.layout.xaxis.title.text, fig.layout.xaxis2.title.text] == ["threshold", "spacing"]
    with pytest.raises(ValueError, match="one varied setting"):
        sweeps([{"queen": {}}])


# Real cells ----------------------------------------------------------------------------

OUTSIDE = {
    "attack", "policy", "defense", "seed", "profile", "substitute_accuracy",
    "substitute_accuracy_best", "fidelity", "protected_accuracy", "protected_accuracy_after",
    "l1", "queries", "counters", "seconds", "device", "flags", "key", "config", "versions", "git",
}  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def queen_line(parts):
    return run_cell(replace(CELL, defense="queen", attack="ddae"), Cache(parts))


def test_a_line_says_all_that_outside_tools_rely_on(queen_line):
    assert set(queen_line) >= OUTSIDE
    assert json.loads(json.dumps(queen_line, allow_nan=False)) == queen_line
    for name in OUTSIDE:
        if "accuracy" in name or name == "fidelity":
            assert 0 <= queen_line[name] <= 1, name
    assert queen_line["queries"] == queen_line["counters"]["queries"] == 150
    assert 0 < queen_line["l1"] < 2
    assert queen_line["substitute_accuracy_best"] >= queen_line["substitute_accuracy"]
    assert {"queries", "recovery", "training", "evaluation", "total"} <= set(queen_line["seconds"])
    assert "adaptive attacker could not simulate the state" in queen_line["flags"]


def test_the_same_cell_gives_the_same_numbers_from_cached_parts(queen_line, parts):
    from queen_ref.arena import measure

    measure._SHOPS.clear()
    again = run_cell(replace(CELL, defense="queen", attack="ddae"), Cache(parts))
    assert again["seconds"]["parts"] == 0 < queen_line["seconds"]["parts"]
    for name in ("substitute_accuracy", "fidelity", "protected_accuracy_after", "counters"):
        assert again[name] == queen_line[name]
    assert again["l1"] == pytest.approx(queen_line["l1"], abs=1e-6)


def test_an_undefended_victim_answers_truthfully(parts):
    found = run_cell(CELL, Cache(parts))
    assert found["l1"] == 0 and found["counters"] == {}
    assert found["protected_accuracy"] == found["protected_accuracy_after"]
    assert found["protected_accuracy"] == found["victim_accuracy"]


def test_a_trial_takes_few_images_and_its_line_says_that_it_is_no_result(parts):
    tried = run_cell(replace(CELL, defense="queen", limit=64), Cache(parts))
    assert tried["queries"] == tried["limit"] == 64
    assert any("no result" in flag for flag in tried["flags"])
    assert tried["config"]["settings"]["sizes"]["epochs"] == 2


def test_a_changed_setting_reaches_the_defence_and_the_line(parts):
    eager = run_cell(replace(CELL, defense="queen", queen=(("threshold", 0.0),)), Cache(parts))
    assert eager["queen"] == {"threshold": 0.0}
    assert eager["counters"]["reversed"] > 0  # 55 to 79 of 150 with 10 seeds
    assert eager["config"]["settings"]["queen"]["threshold"] == 0.0


def test_smoothing_says_what_it_really_sends(parts):
    found = run_cell(replace(CELL, attack="smoothing"), Cache(parts))
    assert found["queries"] == 450
    assert "more queries sent than the nominal budget" in found["flags"]


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
    assert sorted(keys) == sorted(cell.key() for cell in cells), f"killed after {count}"
