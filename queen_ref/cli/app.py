"""The command `queen-ref`: its words and options. What they do is `queen_ref.cli.commands`.

Whatever is wrong with a command is said in one line on stderr, with exit code 2, before
anything is written. Exit code 1: some cells failed; the others are in the file.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code. `arguments` are those of the shell by default.

    >>> main(["arena", "--profile", "tpu"])
    2
    """
    try:
        code = make_app()(args=arguments, prog_name="queen-ref", standalone_mode=False)
    except ValueError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("queen-ref: interrupted; the same command goes on", file=sys.stderr)
        return 130
    except Exception as error:
        # The errors of a command line have one method in common, whichever click is inside.
        if hasattr(error, "format_message"):
            return _complain(f"{error.format_message().rstrip('.')} (queen-ref --help lists all)")
        if type(error).__name__ == "Abort":  # Ctrl-C, as typer has it
            print("queen-ref: interrupted; the same command goes on", file=sys.stderr)
            return 130
        raise
    return code if isinstance(code, int) else 0


def make_app():
    """The typer application. Typer is imported here: the package does without it."""
    try:
        import typer
    except ImportError:
        raise ValueError("typer is not installed; pip install 'queen-ref[arena]'") from None

    app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=False)
    Option, Argument = typer.Option, typer.Argument

    @app.callback(invoke_without_command=True)
    def about(
        context: typer.Context,
        version: Annotated[bool, Option("--version", help="Print the version")] = False,
    ):
        """QUEEN-ref: model extraction attacks, the QUEEN defence, and the arena."""
        if version:
            from queen_ref import __version__

            print(f"queen-ref {__version__}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            raise ValueError("expected arena, data or report (queen-ref --help tells more)")

    @app.command()
    def arena(
        out: Annotated[Path, Option(help="Results file, JSON lines. Goes on where it was.")],
        profile: Annotated[str, Option(help="smoke, cpu or gpu")] = "cpu",
        attacks: Annotated[str, Option(help="Names with commas between, or all")] = "all",
        policies: Annotated[str, Option(help="random, jbda-tr, or all")] = "all",
        defenses: Annotated[str, Option(help="Names with commas between, or all")] = "all",
        seeds: Annotated[str, Option(help="Numbers with commas between")] = "0,1,2",
        pool: Annotated[str, Option(help="Where the thief's images come from")] = "",
        engine: Annotated[str, Option(help="local or ray")] = "local",
        ray_address: Annotated[str, Option(help="Head of a Ray cluster, or auto")] = "",
        workers: Annotated[
            int | None, Option(help="Processes at a time, local engine only [one a core]")
        ] = None,
        time_limit: Annotated[
            float | None, Option(metavar="MIN", help="Begin no cell that would end later")
        ] = None,
        cache_dir: Annotated[
            Path | None, Option(help="Trained parts [$QUEEN_CACHE or ~/.cache/queen_ref]")
        ] = None,
        data_root: Annotated[
            Path | None, Option(help="Where the profile gpu finds its images [$QUEEN_DATA]")
        ] = None,
        download: Annotated[
            bool, Option("--download", help="Fetch what the profile gpu lacks")
        ] = False,
        vary: Annotated[
            list[str] | None,
            Option(metavar="NAME=A,B", help="Settings of QUEEN, one after the other: a sweep"),
        ] = None,
        limit: Annotated[
            int | None, Option(help="Try the grid on so many images; its numbers mean nothing")
        ] = None,
    ) -> int:
        """Every attack against every defence; one JSON line a cell."""
        from queen_ref.cli.commands import run_arena

        return run_arena(
            out, profile, attacks, policies, defenses, seeds, pool, engine, ray_address, workers,
            time_limit, cache_dir, data_root, download, limit, vary or (),
        )  # fmt: skip

    @app.command()
    def data(
        names: Annotated[list[str], Argument(metavar="NAME...", help="cifar10, a folder, ...")],
        data_root: Annotated[
            Path | None, Option(help="The folder that holds them [$QUEEN_DATA]")
        ] = None,
        download: Annotated[bool, Option("--download", help="Fetch what is missing")] = False,
        size: Annotated[int | None, Option(help="Height and width in pixels")] = None,
        limit: Annotated[int | None, Option(help="At most so many images")] = None,
    ) -> int:
        """Check, decode and cache data sets."""
        from queen_ref.cli.commands import run_data

        return run_data(names, data_root, download, size, limit)

    @app.command()
    def report(
        results: Annotated[Path, Argument(help="What `queen-ref arena` wrote")],
        out: Annotated[
            Path | None, Option(help="Folder for report.md, report.csv and figures (HTML)")
        ] = None,
        csv: Annotated[bool, Option("--csv", help="CSV on stdout, not Markdown")] = False,
    ) -> int:
        """Mean and spread over seeds: Markdown, CSV, figures."""
        from queen_ref.cli.commands import run_report

        return run_report(results, out, csv)

    return app


def _complain(text: str) -> int:
    print(f"queen-ref: {' '.join(text.split())}", file=sys.stderr)
    return 2
