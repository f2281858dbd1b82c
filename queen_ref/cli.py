"""The command `queen-ref`: run the arena, report its results.

Whatever is wrong with a command is said in one line on stderr, with exit code 2, before
anything is written. Exit code 1: some cells failed; the others are in the file.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

ENGINES = ("local", "ray")


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
            return _complain(error.format_message())
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

    @app.callback()
    def about():
        """QUEEN-ref: model extraction attacks, the QUEEN defence, and the arena."""

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
        return run_report(results, out, csv)

    return app


def run_arena(
    out: Path,
    profile: str = "cpu",
    attacks: str = "all",
    policies: str = "all",
    defenses: str = "all",
    seeds: str = "0,1,2",
    pool: str = "",
    engine: str = "local",
    ray_address: str = "",
    workers: int | None = None,
    time_limit: float | None = None,
    cache_dir: Path | None = None,
    data_root: Path | None = None,
    download: bool = False,
    limit: int | None = None,
    vary: Sequence[str] = (),
) -> int:
    """`queen-ref arena`: check everything, then run; returns the exit code.

    Errors: `ValueError` for options that are unknown or contradict each other, and for files
    that cannot be used. Nothing is written then.
    """
    os.environ["TQDM_DISABLE"] = "1"  # one bar for the grid, none for its trainings
    from queen_ref.arena.cache import Cache
    from queen_ref.arena.cells import grid
    from queen_ref.arena.engines import Here, Processes, Ray
    from queen_ref.arena.parts import pick_device
    from queen_ref.arena.results import Results
    from queen_ref.arena.run import Clock, in_words, run_grid
    from queen_ref.arena.settings import settings_of
    from queen_ref.attacks import ATTACKS, POLICIES
    from queen_ref.checks import check_choice, check_number
    from queen_ref.defenses import DEFENSES

    check_choice("engine", engine, ENGINES)
    if ray_address and engine != "ray":
        raise ValueError("ray-address: expected --engine ray beside it, got --engine local")
    if workers is not None:
        check_number("workers", workers, low=1, integer=True)
        if engine == "ray":
            raise ValueError("workers: expected --engine local beside it; Ray counts its own cores")
    if time_limit is not None:
        check_number("time-limit", time_limit, low=0)
    cells = grid(
        profile,
        _names(attacks, tuple(ATTACKS)),
        _names(policies, POLICIES),
        _names(defenses, DEFENSES),
        _numbers(seeds),
        pool or None,
        limit,
        _settings(vary),
    )
    if profile != "gpu" and (data_root or download):
        raise ValueError("data-root, download: expected --profile gpu beside them; the others "
                         "need no data")  # fmt: skip
    results = Results(out)
    results.check_writable()
    if data_root:
        os.environ["QUEEN_DATA"] = str(data_root.expanduser().absolute())  # workers inherit it
    if profile == "gpu" and engine == "local":
        from queen_ref.data import load

        load(profile, download=download, limit=limit)  # what is missing is said before any cell
    cache = str(cache_dir.expanduser().absolute()) if cache_dir else None
    if engine == "local":
        Cache(cache)
        missing = sum(cell.key() not in results for cell in cells)
        if workers is None:
            # A process takes seconds to begin; a GPU has room for one.
            many = pick_device(settings_of(profile).device) == "cpu" and missing > 8
            workers = os.cpu_count() or 1 if many else 1
        runner = Here(cache) if workers == 1 else Processes(workers, cache)
    else:
        gpus = 1 if settings_of(profile).device == "auto" else 0
        runner = Ray(ray_address or None, cache, gpus=gpus)
    results.open_for_append()

    limit = None if time_limit is None else 60 * time_limit
    report = run_grid(cells, results, runner, limit)
    print(f"{len(report.done)} cells measured, {len(cells) - len(report.left)} of {len(cells)} "
          f"tried or in {out}")  # fmt: skip
    if report.left:
        known = Clock(list(results.lines.values())).total(report.left, 1)
        print(f"{len(report.left)} cells left" + (f", about {in_words(known)}" if known else ""))
        for cell in report.left:
            print(f"  {cell.name}")
    if report.failed:
        print(f"{len(report.failed)} cells failed; the same command tries them again")
    return 1 if report.failed else 0


def run_data(
    names: Sequence[str],
    root: Path | None = None,
    download: bool = False,
    size: int | None = None,
    limit: int | None = None,
) -> int:
    """`queen-ref data`: one line for each data set and split that is ready.

    Errors: `ValueError` for one that is not known, missing or broken. A data set without test
    images, as Tiny ImageNet often is, is ready with its training images.
    """
    import time

    from queen_ref.archives import Missing
    from queen_ref.datasets import SPLITS, dataset_uint8

    for name in names:
        for split in SPLITS:
            begun = time.perf_counter()
            try:
                pixels, labels = dataset_uint8(name, split, root, size, download, limit)
            except Missing:
                if split == "train":
                    raise
                print(f"{name} test: not there")
                continue
            print(
                f"{name} {split}: {len(labels)} images of {pixels.shape[1]}x{pixels.shape[2]}, "
                f"{labels.max() + 1} classes, {time.perf_counter() - begun:.1f} s",
                flush=True,
            )
    return 0


def run_report(results: Path, out: Path | None = None, csv: bool = False) -> int:
    """`queen-ref report`: print a table, or write tables and figures into the folder `out`."""
    from queen_ref.arena.report import summarise, to_csv, to_markdown
    from queen_ref.arena.results import read

    if csv and out:
        raise ValueError("csv: expected --csv or --out, got both; --out writes the CSV too")
    rows = summarise(read(results))
    if out is None:
        print(to_csv(rows) if csv else to_markdown(rows), end="")
        return 0
    pages = {"report.md": to_markdown(rows), "report.csv": to_csv(rows), **_figures(rows)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"out: cannot write to {out} ({error.strerror})") from None
    print(f"{out}: {', '.join(pages)}")
    return 0


def _figures(rows: Sequence[dict]) -> dict[str, str]:
    try:
        import plotly  # noqa: F401
    except ImportError:
        raise ValueError("plotly is not installed; pip install 'queen-ref[arena]'") from None
    from queen_ref.figures.arena import heat_map, pareto

    pages = {}
    places = dict.fromkeys((row["profile"], row["pool"]) for row in rows)
    for profile, pool in places:
        mine = [row for row in rows if (row["profile"], row["pool"]) == (profile, pool)]
        figures = {"pareto": pareto(mine)}
        for policy in dict.fromkeys(row["policy"] for row in mine):
            chosen = [row for row in mine if row["policy"] == policy]
            figures[f"heat-map-{policy}"] = heat_map(chosen)
        where = "" if len(places) == 1 else f"{profile}-{pool}-"
        for name, figure in figures.items():
            # With plotly inside: the page needs no network.
            pages[f"{where}{name}.html"] = figure.to_html(include_plotlyjs=True)
    return pages


def _names(text: str, known: Sequence[str]) -> list[str]:
    if text == "all":
        return list(known)
    return [name.strip() for name in text.split(",") if name.strip()]


def _settings(words: Sequence[str]) -> list[tuple[str, int | float]]:
    """["threshold=0.1,0.2"] -> the pairs of name and value, each number as it is written."""
    from dataclasses import fields

    from queen_ref.arena.cells import check_names
    from queen_ref.queen import QueenConfig

    known = [f.name for f in fields(QueenConfig) if isinstance(f.default, int | float)]
    pairs = []
    for word in words:
        name, _, values = word.partition("=")
        check_names("vary", [name], known)
        for value in values.split(","):
            try:
                pairs.append((name, float(value) if "." in value or "e" in value else int(value)))
            except ValueError:
                raise ValueError(f"vary: expected {name}=A,B with numbers, got {word!r}") from None
    return pairs


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise ValueError(f"seeds: expected numbers with commas between, got {text!r}") from None


def _complain(text: str) -> int:
    print(f"queen-ref: {' '.join(text.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
