"""`queen-ref arena`: every attack against every defence, into a results file.

Everything is checked first: a command that is wrong raises `ValueError` and writes nothing.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from queen_ref.arena.cells import Cell
from queen_ref.arena.clock import Clock
from queen_ref.arena.cluster import Ray
from queen_ref.arena.engines import Engine, Local, Processes
from queen_ref.arena.grid import grid
from queen_ref.arena.keep import check_keep
from queen_ref.arena.parts import pick_device
from queen_ref.arena.plugins import load_plugin
from queen_ref.arena.results import Results
from queen_ref.arena.run import RunSummary, check_before, run_grid
from queen_ref.attacks import ATTACKS, POLICIES
from queen_ref.cache import Cache, expanded
from queen_ref.checks import check_choice, check_number
from queen_ref.cli.options import Option
from queen_ref.data.profiles import FROM_FOLDER, load
from queen_ref.defenses import DEFENSES
from queen_ref.models import Pretrained
from queen_ref.progress import in_words
from queen_ref.registry import GROUPS, Registry

ENGINES = ("local", "ray")


def run_arena(
    out: Annotated[Path, Option(help="Results file, JSON lines. Goes on where it was.")],
    profile: Annotated[str, Option(help="smoke, cpu, photos or gpu")] = "cpu",
    attacks: Annotated[str, Option(help="Names with commas between, all (usual), every")] = "all",
    policies: Annotated[str, Option(help="Names with commas between, all (usual), every")] = "all",
    defenses: Annotated[str, Option(help="Names with commas between, all (usual), every")] = "all",
    seeds: Annotated[str, Option(help="Numbers with commas between")] = "0,1,2",
    pool: Annotated[str, Option(help="mnist, digits, noise, tiny-imagenet, or all")] = "",
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
        Path | None, Option(help="Where photos and gpu find their images [$QUEEN_DATA]")
    ] = None,
    download: Annotated[
        bool, Option("--download", help="Fetch the images that photos and gpu lack")
    ] = False,
    vary: Annotated[
        list[str] | None,
        Option(metavar="NAME=A,B", help="A setting of the defences, value by value: a sweep"),
    ] = None,
    budget: Annotated[int | None, Option(help="Queries of a thief [the profile's]")] = None,
    model: Annotated[str, Option(help="Network of the victim and its helpers")] = "",
    weights: Annotated[
        Path | None, Option(help="File of torchvision's that --model begins with")
    ] = None,
    substitute: Annotated[str, Option(help="Network of the thief's copy [the profile's]")] = "",
    epochs: Annotated[int | None, Option(help="Of the thief's training [the profile's]")] = None,
    schedule: Annotated[
        str, Option(help="Of his learning rate: constant, step or cosine [the profile's]")
    ] = "",
    weight_decay: Annotated[float | None, Option(help="Of his training [the profile's]")] = None,
    keep: Annotated[
        Path | None, Option(help="Folder for each cell's substitute, transfer set and curve")
    ] = None,
    plugin: Annotated[
        list[str] | None,
        Option(metavar="FILE.py", help="A file that registers methods of your own; repeatable"),
    ] = None,
    limit: Annotated[
        int | None, Option(help="Try the grid on so many images; its numbers mean nothing")
    ] = None,
) -> int:
    """Every attack against every defence; one JSON line a cell.

    Returns the exit code: 1 if a cell failed. Errors: `ValueError` for options that are unknown
    or contradict each other, and for files that cannot be used. Nothing is written then.

    >>> run_arena(Path("mine.jsonl"), "smoke", "naive", "random", "none", "0", time_limit=0)
    0 cells measured, 0 of 1 tried or in mine.jsonl
    1 cells left
      naive x random x none, seed 0
    0
    """
    os.environ["TQDM_DISABLE"] = "1"  # one bar for the grid, none for its trainings
    _check_engine(engine, ray_address, workers, time_limit)
    for file in plugin or ():
        load_plugin(file)
    if weights and not model:
        raise ValueError("weights: expected --model beside it, the network that they belong to")
    network = Pretrained(model, weights.absolute()) if weights else model or None
    given = {
        "model": substitute, "epochs": epochs, "schedule": schedule, "weight_decay": weight_decay,
    }  # fmt: skip
    cells = grid(
        profile,
        _names(attacks, ATTACKS),
        _names(policies, POLICIES),
        _names(defenses, DEFENSES),
        _numbers(seeds),
        pool or None,
        limit,
        _settings(vary or ()),
        budget=budget,
        model=network,
        keep=keep,
        recipe={name: value for name, value in given.items() if value not in (None, "")},
    )
    _check_data(profile, engine, data_root, download)
    results = Results(out)
    results.check_writable()
    check_keep(keep, cells, list(results.lines))
    if data_root:
        # Workers inherit it.
        os.environ["QUEEN_DATA"] = str(expanded("data-root", data_root).absolute())
    if profile in FROM_FOLDER and engine == "local":
        # What is missing is said before any cell.
        check_before(cells, load(profile, download=download, limit=limit))
    elif profile not in FROM_FOLDER and (budget is not None or pool or cells[0].own):
        check_before(cells, load(profile, limit=limit))
    cache = str(expanded("cache-dir", cache_dir).absolute()) if cache_dir else None
    runner: Engine
    if engine == "local":
        missing = sum(cell.key not in results for cell in cells)
        runner = _local(cells[0], missing, workers, cache)
    else:
        gpus = 1 if cells[0].settings.device == "auto" else 0
        runner = Ray(ray_address or None, cache, gpus=gpus, own=cells[0].own)
    results.open_for_append()
    seconds = None if time_limit is None else 60 * time_limit
    summary = run_grid(cells, results, runner, seconds)
    _tell(summary, len(cells), results)
    return 1 if summary.failed else 0


def _check_engine(
    engine: str, ray_address: str, workers: int | None, time_limit: float | None
) -> None:
    check_choice("engine", engine, ENGINES)
    if ray_address and engine != "ray":
        raise ValueError("ray-address: expected --engine ray beside it, got --engine local")
    if workers is not None:
        check_number("workers", workers, low=1, integer=True)
        if engine == "ray":
            raise ValueError("workers: expected --engine local beside it; Ray counts its own cores")
    if time_limit is not None:
        check_number("time-limit", time_limit, low=0)


def _check_data(profile: str, engine: str, data_root: Path | None, download: bool) -> None:
    if profile not in FROM_FOLDER and (data_root or download):
        raise ValueError("data-root, download: expected --profile photos or gpu beside them; the "
                         "others need no data")  # fmt: skip
    if data_root and engine == "ray":
        raise ValueError("data-root: expected --engine local beside it; on a cluster QUEEN_DATA "
                         "is set on every machine")  # fmt: skip


def _local(cell: Cell, missing: int, workers: int | None, cache: str | None) -> Engine:
    """An engine on this machine for so many cells like this one."""
    Cache(cache)  # a folder that cannot be written is said now
    if workers is None:
        # A process takes seconds to begin; a GPU has room for one.
        many = pick_device(cell.settings.device) == "cpu" and missing > 8
        workers = os.cpu_count() or 1 if many else 1
    return Local(cache) if workers == 1 else Processes(workers, cache, own=cell.own)


def _tell(summary: RunSummary, total: int, results: Results) -> None:
    """What the run did and what it left, on stdout."""
    print(f"{len(summary.done)} cells measured, {total - len(summary.left)} of {total} "
          f"tried or in {results.path}")  # fmt: skip
    if summary.left:
        known = Clock(list(results.lines.values())).total(summary.left, 1)
        print(f"{len(summary.left)} cells left" + (f", about {in_words(known)}" if known else ""))
        for cell in summary.left:
            print(f"  {cell.name}")
    if summary.failed:
        print(f"{len(summary.failed)} cells failed; the same command tries them again")


def _names(text: str, known: Registry) -> list[str]:
    if text in GROUPS:
        return known.usual if text == "all" else list(known)
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise ValueError(f"seeds: expected numbers with commas between, got {text!r}") from None


def _settings(words: Sequence[str]) -> list[tuple[str, int | float]]:
    """["threshold=0.1,0.2"] -> the pairs of name and value, each number as it is written."""
    pairs: list[tuple[str, int | float]] = []
    for word in words:
        name, _, values = word.partition("=")
        for value in values.split(","):
            try:
                pairs.append((name, float(value) if "." in value or "e" in value else int(value)))
            except ValueError:
                raise ValueError(f"vary: expected {name}=A,B with numbers, got {word!r}") from None
    return pairs
