"""`queen-ref report`: tables and figures of what was measured."""

import csv
import io
import json
import sys
from dataclasses import replace

import pytest
from results import CELL, LINE, line

from queen_ref.arena import Cell, Results
from queen_ref.arena.cells import FORMAT
from queen_ref.cli import main
from queen_ref.cli.report import shown


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
    results.append({**LINE, "key": varied.key, "defense": "queen", "queen": dict(varied.queen)})
    results.append({**LINE, "key": tried.key, "limit": 100})
    assert main(["report", str(measured), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["profile"], row["defense"]) for row in rows} == {
        ("smoke", "none"),
        ("smoke", "queen threshold=0.1"),
        ("smoke, limit 100", "none"),
    }


# A terminal that knows ASCII only ---------------------------------------------------------


def ascii_terminal(monkeypatch) -> io.BytesIO:
    output = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(output, encoding="ascii"))
    return output


@pytest.mark.parametrize("options", [[], ["--csv"]])
def test_an_ascii_terminal_shows_a_table(measured, monkeypatch, options):
    Results(measured).append(line(replace(CELL, seed=1), flags=["caf\u00e9"]))
    output = ascii_terminal(monkeypatch)
    assert main(["report", str(measured), *options]) == 0
    sys.stdout.flush()
    text = output.getvalue().decode("ascii")
    assert "caf\\xe9 (1)" in text and (options or "| naive | 0.800 +- 0.000 |" in text)
    assert sys.stdout.errors == "strict"  # as it was


def test_names_that_ascii_lacks_do_not_stop_a_command(measured, here, monkeypatch):
    (here / "\u00e9t\u00e9").mkdir()
    output = ascii_terminal(monkeypatch)
    assert main(["report", str(measured), "--out", "\u00e9t\u00e9"]) == 0
    sys.stdout.flush()
    assert output.getvalue().startswith(b"\\xe9t\\xe9: report.md")
    assert "mean \u00b1" in (here / "\u00e9t\u00e9/report.md").read_text("utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", None])
def test_a_terminal_that_has_the_sign_shows_it(encoding):
    assert shown("0.8 \u00b1 0.1", encoding) == "0.8 \u00b1 0.1"
