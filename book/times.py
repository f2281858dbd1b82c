"""Measure how long every chapter takes and keep it in book/results/times.json.

    python book/times.py                    profiles smoke and cpu, what is not measured yet
    python book/times.py --profiles gpu     on a machine with a GPU and the data, see the setup page
    python book/times.py --again            all of them anew

One chapter after another, each in a kernel of its own, alone on the machine: as a reader runs it.
The file is written after every chapter.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import jupytext
import papermill as pm
import torch

from queen_ref.notebook import PROFILES, device_name

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "book" / "results" / "times.json"


def measure(path: Path, profile: str) -> dict:
    """Run a chapter, throw its output away, and say how long it took on what.

    >>> measure(Path("notebooks/08_arena.md"), "smoke")["seconds"]    # doctest: +SKIP
    11.3
    """
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        pm.execute_notebook(
            jupytext.read(path), None, parameters={"profile": profile, "seed": 0},
            kernel_name="python3", cwd=folder, progress_bar=False,
        )  # fmt: skip
        seconds = round(time.perf_counter() - start, 1)
    return {
        "seconds": seconds,
        "device": device_name(),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", default="smoke,cpu", help="default: smoke,cpu")
    parser.add_argument("--again", action="store_true", help="also what is measured already")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    profiles = options.profiles.split(",")
    if unknown := set(profiles) - set(PROFILES):
        parser.error(f"--profiles: expected some of {','.join(PROFILES)}, got {min(unknown)!r}")
    times = json.loads(options.out.read_text()) if options.out.is_file() else {}
    # The figures' script is not what a reader waits for.
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
    os.environ.pop("QUEEN_BOOK", None)
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md")):
        for profile in profiles:
            chapter = times.setdefault(path.stem, {})
            if profile in chapter and not options.again:
                continue
            chapter[profile] = measure(path, profile)
            print(f"{path.stem} {profile}: {chapter[profile]['seconds']} s", flush=True)
            part = options.out.with_suffix(".part")
            part.write_text(json.dumps(times, indent=1) + "\n")
            part.replace(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
