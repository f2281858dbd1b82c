"""`queen-ref`: one clear line for whatever is wrong, and nothing written."""

import csv
import io
import json

import pytest

import queen_ref
from queen_ref.arena import Cell, Results
from queen_ref.arena.cells import FORMAT
from queen_ref.cli import main

CELL = Cell("smoke", "mnist", "naive", "random", "none", 0)
LINE = {
    **{name: getattr(CELL, name) for name in CELL.__dataclass_fields__ if getattr(CELL, name)},
    "seed": 0,
    "key": CELL.key(),
    "substitute_accuracy": 0.8,
    "substitute_accuracy_best": 0.85,
    "fidelity": 0.8,
    "protected_accuracy": 0.9,
    "protected_accuracy_after": 0.9,
    "l1": 0.0,
    "queries": 150,
    "counters": {},
    "seconds": {"total": 2.0, "parts": 0.0},
    "device": "cpu",
    "flags": ["odd"],
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def measured(here):
    Results(here / "r.jsonl").append(LINE)
    return here / "r.jsonl"


def test_without_a_command_it_points_at_the_help(capsys):
    assert main([]) == 2
    assert "queen-ref --help" in capsys.readouterr().err


def test_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"queen-ref {queen_ref.__version__}\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--profile tpu", "profile: expected some of smoke, cpu, gpu, got 'tpu'"),
        ("--attacks naive,nave", "got 'nave'"),
        ("--attacks ,", "attacks: expected at least one"),
        ("--policies chance", "got 'chance'"),
        ("--defenses none,king", "got 'king'"),
        ("--defenses queen,queen", "each once"),
        ("--seeds 0,x", "seeds: expected numbers"),
        ("--seeds 1,1", "each once"),
        ("--pool emnist", "got 'emnist'"),
        ("--engine spark", "engine: expected one of 'local', 'ray', got 'spark'"),
        ("--ray-address 10.0.0.1:6379", "ray-address: expected --engine ray"),
        ("--engine ray --workers 2", "workers: expected --engine local"),
        ("--workers 0", "workers: expected an integer >= 1"),
        ("--workers many", "'--workers'"),
        ("--time-limit -1", "time-limit: expected a number >= 0"),
        ("--time-limit nan", "time-limit: expected a number >= 0"),
        ("--speed 3", "--speed"),
        ("--attacks ddae --defenses none", "none does"),
        ("--out missing/r.jsonl", "cannot be written"),
        ("--out .", "cannot be read"),
        ("--cache-dir /proc/nowhere", "cache: cannot write"),
        ("--profile gpu", "QUEEN_DATA"),
        ("--limit 10", "limit: expected an integer >= 64"),
        ("--download", "expected --profile gpu"),
        ("--profile gpu --engine ray --data-root .", "data-root: expected --engine local"),
        ("--defenses queen --vary speed=1", "vary: expected some of"),
        ("--defenses queen --vary threshold=low", "vary: expected threshold=A,B"),
        ("--defenses queen --vary threshold=-1", "threshold: expected"),
        ("--defenses none,queen --vary threshold=0.1", "vary: expected defenses"),
    ],
)
def test_a_wrong_command_is_one_line_exit_code_2_and_nothing_written(
    here, capsys, monkeypatch, options, says
):
    monkeypatch.delenv("QUEEN_DATA", raising=False)
    words = options.split()
    if "--out" not in words:
        words += ["--out", "r.jsonl"]
    assert main(["arena", *words]) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""
    assert not list(here.iterdir())


@pytest.mark.parametrize("command", [["arena"], ["report"], ["arnea"]])
def test_a_command_that_is_not_complete_is_one_line_too(here, capsys, command):
    assert main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [("my notes\n", "found other text"), ('{"format": 99, "key": "a"}\n', "expected format")],
)
def test_a_file_of_another_kind_is_left_as_it_was(here, capsys, content, says):
    (here / "r.jsonl").write_text(content)
    for command in (["arena", "--profile", "smoke", "--out", "r.jsonl"], ["report", "r.jsonl"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1
    assert (here / "r.jsonl").read_text() == content


def test_without_time_everything_is_left_and_that_is_no_error(here, capsys):
    command = "arena --profile smoke --attacks naive,s4l --policies random --defenses none,top1"
    options = ["--seeds", "0", "--time-limit", "0", "--out", "r.jsonl"]
    assert main([*command.split(), *options]) == 0
    told = capsys.readouterr().out
    assert "4 cells left" in told and "naive x random x top1, seed 0" in told
    assert (here / "r.jsonl").read_text() == ""


def test_what_is_measured_is_not_measured_again(measured, capsys):
    command = "arena --profile smoke --attacks naive --policies random --defenses none --seeds 0"
    before = measured.read_bytes()
    assert main([*command.split(), "--out", str(measured)]) == 0
    assert measured.read_bytes() == before
    assert capsys.readouterr().out.startswith("0 cells measured")


def test_report_prints_markdown_or_csv(measured, capsys):
    assert main(["report", str(measured)]) == 0
    assert "| naive | 0.800 |" in capsys.readouterr().out
    assert main(["report", str(measured), "--csv"]) == 0
    assert capsys.readouterr().out.startswith("profile,pool,policy,attack,defense,seeds,")


def test_report_writes_tables_and_figures_that_need_no_network(measured, here):
    assert main(["report", str(measured), "--out", "tables"]) == 0
    names = sorted(path.name for path in (here / "tables").iterdir())
    assert names == ["heat-map-random.html", "pareto.html", "report.csv", "report.md"]
    assert '<script src="http' not in (here / "tables/pareto.html").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("none.jsonl", "found none"),
        ("r.jsonl --csv --out t", "got both"),
        ("r.jsonl --out r.jsonl", "cannot write"),
    ],
)
def test_a_wrong_report_is_one_line(measured, capsys, words, says):
    assert main(["report", *words.split()]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_an_empty_file_has_nothing_to_report(here, capsys):
    (here / "r.jsonl").touch()
    assert main(["report", "r.jsonl"]) == 2
    assert "expected at least one result" in capsys.readouterr().err


def test_every_line_begins_with_the_format(measured):
    assert next(iter(json.loads(measured.read_text()).items())) == ("format", FORMAT)


def test_a_sweep_and_a_trial_are_not_averaged_with_the_grid(measured, capsys):
    varied = Cell("smoke", "mnist", "naive", "random", "queen", 0, queen=(("threshold", 0.1),))
    tried = Cell("smoke", "mnist", "naive", "random", "none", 0, limit=100)
    results = Results(measured)
    results.append({**LINE, "key": varied.key(), "defense": "queen", "queen": dict(varied.queen)})
    results.append({**LINE, "key": tried.key(), "limit": 100})
    assert main(["report", str(measured), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["profile"], row["defense"]) for row in rows} == {
        ("smoke", "none"),
        ("smoke", "queen threshold=0.1"),
        ("smoke, limit 100", "none"),
    }
