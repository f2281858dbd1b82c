"""`queen-ref`: what it says of itself, and of a command that is not complete."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

import queen_ref
from queen_ref.cli import app, main


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


# Interrupted -----------------------------------------------------------------------------

LAST = "queen-ref: interrupted; the same command goes on"
# Whoever starts the tests in the background may have told their children to ignore Ctrl-C.
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from queen_ref.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("number", "everybody", "workers", "code"),
    [
        (signal.SIGINT, False, 1, 130),
        (signal.SIGINT, True, 2, 130),
        (signal.SIGTERM, False, 2, 143),
    ],
    ids=["Ctrl-C", "Ctrl-C, workers too", "SIGTERM"],
)
def test_the_last_line_says_how_to_go_on(here, number, everybody, workers, code):
    words = "arena --profile smoke --attacks naive --policies random --defenses none,top1 --out r"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words.split(), "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (here / "r").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.3)
    (os.killpg if everybody else os.kill)(process.pid, number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == code and said.splitlines()[-1] == LAST, said
    for _ in range(600):
        if not living(process.pid):
            return
        time.sleep(0.1)
    raise AssertionError(f"still there after a minute: {living(process.pid)}")


def living(session):
    """Processes of that session, but for dead ones that nobody has asked about."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (app.Terminated, 143)])
def test_a_command_that_is_stopped_has_the_codes_of_the_shell(monkeypatch, capsys, stop, code):
    def command() -> int:
        """Runs for long."""
        raise stop

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(app.COMMANDS, "report", command)
    assert main(["report"]) == code
    assert capsys.readouterr().err.splitlines()[-1] == LAST
    assert signal.getsignal(signal.SIGTERM) is before
