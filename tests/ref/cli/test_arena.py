"""`queen-ref arena`: one clear line for whatever is wrong, and nothing written."""

import pytest
from folders import folders, tiny

from queen_ref.arena import read
from queen_ref.arena.honest import CHANGES
from queen_ref.cli import main


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--profile tpu", "profile: expected some of smoke, cpu, photos, gpu, got 'tpu'"),
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
        ("--profile photos", "QUEEN_DATA"),
        ("--substitute alexnet", "model: expected one of"),
        ("--limit 10", "limit: expected an integer >= 64"),
        ("--download", "expected --profile photos or gpu"),
        ("--profile gpu --engine ray --data-root .", "data-root: expected --engine local"),
        ("--profile photos --pool digits", "pool: expected one of"),
        ("--defenses queen --vary speed=1", "vary: expected a setting"),
        ("--defenses queen --vary threshold=low", "vary: expected threshold=A,B"),
        ("--defenses queen --vary threshold=-1", "threshold: expected"),
        ("--defenses none,queen --vary threshold=0.1", "vary: expected defenses"),
        ("--defenses queen-strict --vary threshold=0.1", "vary: expected a setting"),
        ("--defenses mad,rounding --vary epsilon=0.5", "rounding has decimals"),
        ("--pool mnist+emnist", "pool: expected one of"),
        ("--epochs 0", "epochs: expected"),
        ("--schedule linear", "schedule: expected one of"),
        ("--weight-decay -1", "weight_decay: expected"),
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


def test_the_thiefs_recipe_can_be_named(here, capsys):
    command = "arena --profile smoke --attacks naive --policies random --defenses none --seeds 0"
    options = "--epochs 30 --schedule cosine --weight-decay 0 --time-limit 0 --out r.jsonl"
    assert main([*command.split(), *options.split()]) == 0
    assert "seed 0, epochs 30, schedule cosine, weight_decay 0" in capsys.readouterr().out


def test_what_is_measured_is_not_measured_again(measured, capsys):
    command = "arena --profile smoke --attacks naive --policies random --defenses none --seeds 0"
    before = measured.read_bytes()
    assert main([*command.split(), "--out", str(measured)]) == 0
    assert measured.read_bytes() == before
    assert capsys.readouterr().out.startswith("0 cells measured")


def test_a_trial_on_photographs_runs_on_images_of_a_folder(home, tmp_path, monkeypatch, capsys):
    folders(home / "cifar10/train", 10, each=7)
    folders(home / "cifar10/test", 10, each=7)
    tiny(home)
    out = tmp_path / "r.jsonl"
    words = "--profile photos --limit 64 --attacks naive --policies random --seeds 0 --workers 1"
    words += f" --defenses queen-strict --substitute resnet8 --data-root {home} --out {out}"
    # The option sets it for the workers; monkeypatch puts it back.
    monkeypatch.setenv("QUEEN_DATA", str(tmp_path / "elsewhere"))
    assert main(["arena", *words.split()]) == 0
    (line,) = read(out)
    assert line["queries"] == line["config"]["settings"]["budget"] == 64
    assert line["recipe"] == {"model": "resnet8"} and line["pool"] == "tiny-imagenet"
    assert line["config"]["settings"]["victim"]["model"] == "cnn3_w32"
    assert line["images"].startswith("cifar10: JPEG files of 32x32, copies; tiny-imagenet: ")
    assert line["honest_changed"].keys() == CHANGES.keys()
    assert all(kept.keys() == line["honest"].keys() for kept in line["honest_changed"].values())
    assert "1 cells measured" in capsys.readouterr().out
