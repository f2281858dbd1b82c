"""The benchmarks are programs; here they only have to run, save, and refuse nonsense."""

import json

import pytest
import torch

from benchmarks.all import main
from benchmarks.scaling import anywhere
from benchmarks.timing import Record, ratio
from queen_ref import SensitivityLedger


def test_quick_run_saves_every_part(tmp_path, capsys):
    out = tmp_path / "new" / "bench.json"
    main(["--quick", "--rounds", "1", "--out", str(out)])
    result = json.loads(out.read_text())
    parts = {row["part"] for row in result["rows"]}
    assert parts == {"queen", "one at a time", "defences", "scaling", "training", "explorers"}
    assert {"processor", "device", "torch"} <= set(result["machine"])
    assert all(row["low"] <= row["median"] <= row["high"] for row in result["rows"])
    printed = capsys.readouterr().out
    assert all(row["what"] in printed for row in result["rows"])


@pytest.mark.parametrize(
    "options",
    [["--rounds", "0"], ["--rounds", "two"], ["--only", "nothing"], ["--out", "."], ["--fast"]],
)
def test_wrong_option_is_exit_2_and_one_reason(options, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err.splitlines()[-1]


def test_ratio_times_both_as_often_and_drops_the_warm_up():
    calls = {"ours": 0, "base": 0}

    def task(name):
        calls[name] += 1

    values = ratio(lambda: task("ours"), lambda: task("base"), rounds=4)
    assert len(values) == 4 and calls == {"ours": 6, "base": 6}


def test_record_keeps_quartiles_and_what_is_known_beside_them():
    record = Record()
    record.add("part", "walk", "bare forward", [3.0, 1.0, 2.0, 5.0, 4.0], 1.2, victim="small_cnn")
    (row,) = record.result(quick=False)["rows"]
    assert (row["low"], row["median"], row["high"]) == (2.0, 3.0, 4.0)
    assert row["target"] == 1.2 and not row["at_least"] and row["victim"] == "small_cnn"


def test_spread_points_lie_inside_their_discs():
    ledger = SensitivityLedger(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.tensor([1.0, 2.0]))
    labels = torch.arange(2).repeat(500)
    points = anywhere(ledger, labels, torch.Generator().manual_seed(0))
    assert bool(ledger.observe(points, labels).inside.all())
