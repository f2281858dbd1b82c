"""The benchmarks are programs; here they only have to run, save, and refuse nonsense."""

import json

import pytest
import torch

from benchmarks.all import main
from benchmarks.gate import CHANGES, OWN, heavy_tailed, shifted, usual_in
from benchmarks.scaling import anywhere
from benchmarks.timing import Record, ratio
from queen_ref import Queen, QueenConfig, SensitivityLedger
from queen_ref.models import build


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


def test_honest_images_are_changed_as_it_says_and_stay_images():
    images = torch.rand(3, 1, 12, 12)
    for change, made in CHANGES.items():
        changed = made(images)
        assert changed.shape == images.shape and bool(((changed >= 0) & (changed <= 1)).all())
        assert torch.equal(changed, images) == (change == "as they are")
    assert torch.equal(shifted(images, 2)[..., 2:], images[..., :-2])
    assert not bool(shifted(images, 2)[..., :2].any())


def test_a_heavy_tailed_client_asks_a_few_images_again_and_again():
    streams = list(heavy_tailed(100, count=3, length=500))
    assert [len(rows) for rows in streams] == [500] * 3
    assert all(len(rows.unique()) == OWN for rows in streams)
    assert len(torch.cat(streams).unique()) > OWN


def test_the_gates_bits_are_those_of_a_gated_queen():
    images, labels = torch.rand(60, 1, 8, 8), torch.arange(60) % 3
    victim = build("small_cnn", (1, 8, 8), 3, seed=0)
    config = QueenConfig(map_epochs=1, shadows=1, shadows_per_query=1, shadow_epochs=1)
    queen = Queen.fit(victim, images, labels, config, held_out=images)
    gate, bits = usual_in(queen, "confidence", images)
    assert repr(gate) == repr(queen.with_settings(gate="confidence").gate)
    assert int(bits.sum()) == 30  # surer than the median
