"""`queen-ref`: what it says of itself, and of a command that is not complete."""

import pytest

import queen_ref
from queen_ref.cli import main


def test_without_a_command_it_points_at_the_help(capsys):
    assert main([]) == 2
    assert "queen-ref --help" in capsys.readouterr().err


def test_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"queen-ref {queen_ref.__version__}\n"


@pytest.mark.parametrize("command", [["arena"], ["report"], ["arnea"]])
def test_a_command_that_is_not_complete_is_one_line_too(here, capsys, command):
    assert main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1
