"""What the commands of `queen-ref` do: run the arena, prepare data, report results.

Each checks everything first and raises `ValueError` before anything is written.
"""

import os
from collections.abc import Sequence
from pathlib import Path

ENGINES = ("local", "ray")


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
    from queen_ref.arena.run import Clock, run_grid
    from queen_ref.arena.settings import settings_of
    from queen_ref.attacks import ATTACKS, POLICIES
    from queen_ref.checks import check_choice, check_number
    from queen_ref.defenses import DEFENSES
    from queen_ref.progress import in_words

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
    if data_root and engine == "ray":
        raise ValueError("data-root: expected --engine local beside it; on a cluster QUEEN_DATA "
                         "is set on every machine")  # fmt: skip
    if data_root:
        os.environ["QUEEN_DATA"] = str(data_root.expanduser().absolute())  # workers inherit it
    if profile == "gpu" and engine == "local":
        from queen_ref.data.profiles import load

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

    from queen_ref.data.datasets import SPLITS, check_name, dataset_uint8, splits_of

    for name in names:
        check_name(name)
    for name in names:
        for split in SPLITS:
            begun = time.perf_counter()
            if split not in splits_of(name, root):
                print(f"{name} {split}: not there")
                continue
            pixels, labels = dataset_uint8(name, split, root, size, download, limit)
            file = getattr(pixels, "filename", None)  # none where the cache cannot be written
            print(
                f"{name} {split}: {len(labels)} images of {pixels.shape[1]}x{pixels.shape[2]}, "
                f"{labels.max() + 1} classes, {time.perf_counter() - begun:.1f} s, "
                f"{f'in {file}' if file else 'not kept'}",
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
    from queen_ref.arena.figures import heat_map, pareto

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
