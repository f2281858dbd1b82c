"""The command `queen-ref`: its words, and what is said when one of them is wrong.

Whatever is wrong with a command is said in one line on stderr, with exit code 2, before
anything is written. Exit code 1: some cells failed; the others are in the file.
130 and 143: Ctrl-C and SIGTERM; what was measured is in the file.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from queen_ref import __version__
from queen_ref.cli.arena import run_arena
from queen_ref.cli.data import run_data
from queen_ref.cli.options import Option
from queen_ref.cli.report import run_report

# The parameters of a function are the options of its command.
COMMANDS: dict[str, Callable[..., int]] = {
    "arena": run_arena,
    "data": run_data,
    "report": run_report,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. `arguments` are those of the shell by default.

    >>> main(["arena", "--profile", "tpu"])
    2
    """
    try:
        with _ends_gently(), _prints_anything():
            code = make_app()(args=arguments, prog_name="queen-ref", standalone_mode=False)
    except ValueError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return _interrupted(130)
    except Terminated:
        return _interrupted(143)
    except Exception as error:
        # The errors of a command line have one method in common, whichever click is inside.
        if hasattr(error, "format_message"):
            return _complain(f"{error.format_message().rstrip('.')} (queen-ref --help lists all)")
        if type(error).__name__ == "Abort":  # Ctrl-C, as typer has it
            return _interrupted(130)
        raise
    if code == 130:  # Ctrl-C, as newer ones have it
        return _interrupted(130)
    return code if isinstance(code, int) else 0


def make_app() -> Callable[..., Any]:
    """The typer application. Errors: `ValueError` where typer is not installed.

    >>> app = make_app()
    """
    try:
        import typer  # optional: the package does without it
    except ImportError:
        raise ValueError("typer is not installed; pip install 'queen-ref[arena]'") from None

    app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=False)

    @app.callback(invoke_without_command=True)
    def about(
        context: typer.Context,
        version: Annotated[bool, Option("--version", help="Print the version")] = False,
    ) -> None:
        """QUEEN-ref: model extraction attacks, the QUEEN defence, and the arena."""
        if version:
            print(f"queen-ref {__version__}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            raise ValueError("expected arena, data or report (queen-ref --help tells more)")

    for name, run in COMMANDS.items():
        # The first line of a docstring is the command's help; the rest is for Python.
        app.command(name, help=(run.__doc__ or "").partition("\n")[0])(run)
    return app


def _complain(text: str) -> int:
    print(f"queen-ref: {' '.join(text.split())}", file=sys.stderr)
    return 2


def _interrupted(code: int) -> int:
    print("queen-ref: interrupted; the same command goes on", file=sys.stderr, flush=True)
    return code


class Terminated(BaseException):
    """SIGTERM, the wish of a queue or of `kill`: no error of a cell, so nothing catches it."""


@contextmanager
def _ends_gently() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does: workers end, and the last line is said."""

    def stop(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # signals are not for others
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def _prints_anything() -> Iterator[None]:
    """A terminal that knows ASCII only gets a name it cannot show as \\xe9, not a traceback."""
    out: Any = sys.stdout
    if not hasattr(out, "reconfigure"):  # somebody else's
        yield
        return
    before = out.errors
    out.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        out.reconfigure(errors=before)
