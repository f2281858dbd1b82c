"""The commands without Typer: plain functions, and one line that says what is missing."""

import subprocess
import sys

from results import CELL

from queen_ref.cli.app import COMMANDS, make_app
from queen_ref.cli.arena import run_arena

WITHOUT = "import sys; sys.modules['typer'] = None\n"


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True)


def test_without_typer_the_command_says_what_to_install():
    told = run("from queen_ref.cli import main; sys.exit(main(['arena']))")
    assert told.returncode == 2
    assert told.stderr == ("queen-ref: typer is not installed; pip install 'queen-ref[arena]'\n")


def test_without_typer_a_command_is_still_a_function(measured):
    told = run(
        "from pathlib import Path\nfrom queen_ref.cli.report import run_report\n"
        f"run_report(Path({str(measured)!r}))"
    )
    assert "| naive | 0.800 |" in told.stdout, told.stderr


def test_a_command_is_a_function_with_the_same_names(measured, capsys):
    before = measured.read_bytes()
    words = {"attacks": "naive", "policies": "random", "defenses": "none", "seeds": "0"}
    assert run_arena(measured, CELL.profile, **words) == 0
    assert capsys.readouterr().out.startswith("0 cells measured, 1 of 1 tried or in ")
    assert measured.read_bytes() == before


def test_every_command_has_its_help(capsys):
    for name, function in COMMANDS.items():
        make_app()(args=[name, "--help"], prog_name="queen-ref", standalone_mode=False)
        told = capsys.readouterr().out
        assert function.__doc__.splitlines()[0] in told and "Errors:" not in told
