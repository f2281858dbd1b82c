"""`queen-ref data`: prepares, and prints a line each."""

from pathlib import Path

import pytest
from folders import folders

from queen_ref.cli import main

pytestmark = pytest.mark.usefixtures("home")


def test_the_command_prepares_and_prints_a_line_each(home, capsys):
    folders(home / "cifar10/train", 10, each=2)
    folders(home / "cifar10/test", 10)
    folders(home / "mine", 3)
    mine = f"imagefolder:{home / 'mine'}"
    assert main(["data", "cifar10", mine, "--limit", "15"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cifar10 train: 15 images of 32x32, 10 classes, ")
    assert lines[1].startswith("cifar10 test: 10 images of 32x32, 10 classes, ")
    assert lines[2].startswith(f"{mine} train: 3 images of 32x32, 3 classes, ")
    assert lines[3:] == [f"{mine} test: not there"]
    assert all(Path(line.split(" in ")[-1]).is_file() for line in lines[:3])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("cifar11", "got 'cifar11'"),
        ("cifar10", "--download"),
        ("cub200 --download", "torchvision cannot fetch it"),
        ("cifar10 --data-root /no/where", "/no/where"),
        ("cifar10 --size 4", "size: expected"),
        ("cifar10 --limit none", "'--limit'"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(capsys, words, says):
    assert main(["data", *words.split()]) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""
