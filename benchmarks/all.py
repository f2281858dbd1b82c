"""Every benchmark of speed: print the ratios, and save them.

    make bench                                       into _build/benchmarks.json
    python -m benchmarks.all --quick                 a minute: do the programs still run?
    python -m benchmarks.all --only scaling --out scaling.json
    python -m benchmarks.all --out book/results/benchmarks.json      what the book shows

Ratios are medians of pairs timed in turn, with quartiles. Nothing here is a test.
"""

import argparse
import json
import os
from pathlib import Path

from benchmarks import defenses, explorers, queen, scaling, throughput
from benchmarks.timing import Record
from queen_ref.cache import write_whole

PARTS = {
    "queen": queen.measure,
    "defenses": defenses.measure,
    "scaling": scaling.measure,
    "throughput": throughput.measure,
    "explorers": explorers.measure,
}
OUT = Path("_build/benchmarks.json")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.all", description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--rounds", type=positive, default=15, help="timings of each ratio")
    parser.add_argument(
        "--only", choices=PARTS, nargs="+", default=list(PARTS), help="parts to run"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, three rounds")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.out.is_dir() or not os.access(closest_folder(options.out), os.W_OK):
        parser.error(f"--out: expected a file that can be written, got {options.out}")

    record = Record()
    print("; ".join(f"{name} {value}" for name, value in record.machine.items()))
    for name in options.only:
        PARTS[name](record, 3 if options.quick else options.rounds, options.quick)
        save(record.result(options.quick), options.out)  # what is measured is not lost
    print(f"\n{options.out}: {len(record.rows)} ratios")


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def closest_folder(path: Path) -> Path:
    """The nearest folder above a file that exists: where its own will be made."""
    return next(folder for folder in path.absolute().parents if folder.exists())


def save(result: dict, path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
