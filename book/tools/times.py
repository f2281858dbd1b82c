"""Measure how long every chapter takes and keep it in book/results/times.json.

    python book/tools/times.py                    profiles smoke and cpu, what is not measured yet
    python book/tools/times.py --profiles gpu  with a GPU and the data, see the setup page
    python book/tools/times.py --again            all of them anew
    python book/tools/times.py --at-once 3     three side by side, on a machine lent for minutes

Each chapter has a kernel of its own. By default it is alone on the machine, as for a reader; how
many shared it is recorded. The file is written after every chapter. Chapter 9 is left out in the
profile gpu: there it takes as long as its parameter `minutes` says, and some more.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path

import jupytext
import papermill as pm
import torch

from queen_book.chapter import PROFILES, device_name
from queen_ref.cache import write_whole

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "book" / "results" / "times.json"


LEFT_OUT = {("09_photographs", "gpu")}


def measure(path: Path, profile: str, at_once: int = 1) -> dict:
    """Run a chapter, throw its output away, and say how long it took on what.

    >>> measure(Path("notebooks/08_arena.md"), "smoke")["seconds"]    # doctest: +SKIP
    11.3
    """
    start = time.perf_counter()
    pm.execute_notebook(
        jupytext.read(path), None, parameters={"profile": profile, "seed": 0},
        kernel_name="python3", progress_bar=False, start_timeout=600,
    )  # fmt: skip
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "device": device_name(),
        **({"at_once": at_once} if at_once > 1 else {}),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", default="smoke,cpu", help="default: smoke,cpu")
    parser.add_argument("--again", action="store_true", help="also what is measured already")
    parser.add_argument("--at-once", type=int, default=1, help="chapters side by side")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    out = options.out.absolute()
    profiles = options.profiles.split(",")
    if unknown := set(profiles) - set(PROFILES):
        parser.error(f"--profiles: expected some of {','.join(PROFILES)}, got {min(unknown)!r}")
    if options.at_once < 1:
        parser.error(f"--at-once: expected a number from 1 up, got {options.at_once}")
    times = json.loads(out.read_text()) if out.is_file() else {}
    # The figures' script is not what a reader waits for.
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
    os.environ.pop("QUEEN_BOOK", None)

    def longest_first(path: Path) -> float:  # so that nobody waits alone at the end
        return -times.get(path.stem, {}).get("cpu", {}).get("seconds", 0)

    failed = 0
    # One folder for all: papermill's own `cwd` moves the whole process, under the others' feet.
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        ThreadPoolExecutor(options.at_once) as pool,
    ):
        runs = {
            pool.submit(measure, path, profile, options.at_once): (path.stem, profile)
            for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md"), key=longest_first)
            for profile in profiles
            if (path.stem, profile) not in LEFT_OUT
            and (options.again or profile not in times.get(path.stem, {}))
        }
        for run in as_completed(runs):
            chapter, profile = runs[run]
            try:
                entry = run.result()
            except Exception as error:  # the others shall be measured
                failed += 1
                print(f"{chapter} {profile}: FAILED\n{error}", file=sys.stderr, flush=True)
                continue
            times.setdefault(chapter, {})[profile] = entry
            print(f"{chapter} {profile}: {entry['seconds']} s", flush=True)
            text = json.dumps(dict(sorted(times.items())), indent=1) + "\n"
            write_whole(out, text.encode())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
