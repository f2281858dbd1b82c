"""Run every chapter with other seeds and thread counts; keep what it reached in one file.

    python book/tools/seeds.py                what is not recorded yet: smoke and cpu, seeds 0 to 4,
                                              with 1 and 2 threads in turn, see `RUNS`
    python book/tools/seeds.py --profiles cpu --seeds 0-4 --threads 1 --chapters 04_gradient_reverse
    python book/tools/seeds.py --table         run nothing: the table of what is recorded
    python book/tools/seeds.py --spread        run nothing: what every claim was, and its bounds

A run in the profile cpu records the numbers of all claims (book/queen_book/claims.py), and a
test holds their bounds against them. The file is written after every run:
killed at any moment, the same command goes on. A run is done again when it failed, when the
chapter's or the package's code has changed, or when a claim was added. Runs on another machine are
added with --again, and kept beside the first ones.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path

import jupytext
import torch
from claimed import ROOT, chapters, claims_in, key
from seed_record import Keys, Record, findings, spreads, table

from queen_book.claims import PROFILE, RECORD

FILE = ROOT / "book" / "results" / RECORD
# Another thread count moves a number as another seed does, so that not every pair is needed: five
# seeds, each thread count with several, and one seed with both.
RUNS = ((0, 1), (1, 2), (2, 1), (3, 2), (4, 1), (0, 2))  # seed and threads
PROFILES = ("smoke", PROFILE)


def machine() -> str:
    """The processor's name and the instructions that PyTorch uses on it.

    >>> machine()
    'AMD EPYC, AVX512'
    """
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"model name\s*:\s*(.*)", info.read_text())
        name = found[1].strip() if found else name
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def execute(chapter: Path, profile: str, seed: int, threads: int) -> dict:
    """One run in a process of its own: how long it took, why it failed, what it claimed."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        env = dict(os.environ, PLOTLY_RENDERER="plotly_mimetype", TQDM_DISABLE="1")
        env.update(QUEEN_CLAIMS_TO=str(place / "claims"), IPYTHONDIR=str(place / "ipython"))
        env.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # who waits leaves the core to other programs
        for name in ("QUEEN_BOOK", "QUEEN_CLAIMS"):
            env.pop(name, None)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
            env[name] = str(threads)
        (place / "cwd").mkdir()
        jupytext.write(jupytext.read(chapter), place / "in.ipynb")
        command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "-k", "python3",
                   "--cwd", "cwd", "--start-timeout", "600", "--no-progress-bar",
                   "--log-level", "ERROR",
                   "-p", "profile", profile, "-p", "seed", str(seed)]  # fmt: skip
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True)
        lines = (place / "claims").read_text() if (place / "claims").exists() else ""
    claims: dict[str, list[float]] = {}
    for line in map(json.loads, lines.splitlines()):
        low, high = (float(f"{line[end]:.6g}") for end in ("low", "high"))
        held = claims.setdefault(line["claim"], [low, high])
        claims[line["claim"]] = [min(low, held[0]), max(high, held[1])]
    return {
        "failed": None if done.returncode == 0 else last_words(done.stderr),
        "seconds": round(time.perf_counter() - start, 1),
        "claims": claims,
    }


def last_words(stderr: str) -> str:
    """The error in the kernel's own words, without colours.

    >>> last_words("long trace\\n\\x1b[31mAssertionError\\x1b[0m: met 0.28\\n\\n")
    'AssertionError: met 0.28'
    """
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", stderr).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"


def numbers(text: str) -> list[int]:
    """Seeds or thread counts from the command line.

    >>> numbers("0-3,8")
    [0, 1, 2, 3, 8]
    """
    found = []
    for part in text.split(","):
        if not re.fullmatch(r"\d+(-\d+)?", part):
            raise argparse.ArgumentTypeError(f"expected numbers such as 0-4 or 1,2, got {text!r}")
        first, last = int(part.split("-")[0]), int(part.split("-")[-1])
        found += range(first, last + 1)
    return found


def pairs(seeds: list[int] | None, threads: list[int] | None) -> list[tuple[int, int]]:
    """Seeds and thread counts: those of `RUNS`, or every seed with every count that is asked for.

    >>> pairs([0, 1], [2])
    [(0, 2), (1, 2)]
    """
    if seeds is None and threads is None:
        return list(RUNS)
    asked = dict.fromkeys(seed for seed, _ in RUNS) if seeds is None else seeds
    return [(seed, count) for count in threads or (1, 2) for seed in asked]


def options() -> argparse.Namespace:
    names = [path.stem for path in chapters()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", default=",".join(PROFILES), help="default: smoke,cpu")
    parser.add_argument("--seeds", type=numbers, help="default: 0-4, in turn with 1 and 2 threads")
    parser.add_argument("--threads", type=numbers, help="of every seed; default: in turn")
    parser.add_argument("--chapters", default=",".join(names), help="default: all")
    parser.add_argument("--at-once", type=int, help="runs side by side; default: cores / threads")
    parser.add_argument("--again", action="store_true", help="also what is recorded")
    parser.add_argument("--table", action="store_true", help="run nothing, show the table")
    parser.add_argument("--spread", action="store_true", help="run nothing, show every claim")
    parser.add_argument("--out", type=Path, default=FILE)
    chosen = parser.parse_args()
    for option, allowed in (("profiles", list(PROFILES)), ("chapters", names)):
        given = getattr(chosen, option).split(",")
        if unknown := set(given) - set(allowed):
            parser.error(f"--{option}: expected some of {','.join(allowed)}, got {min(unknown)!r}")
        setattr(chosen, option, given)
    if min(chosen.threads or (1,)) < 1 or (chosen.at_once is not None and chosen.at_once < 1):
        parser.error("--threads and --at-once: expected numbers from 1 up")
    return chosen


def main() -> int:
    chosen = options()
    record = Record(chosen.out)
    keys = {path.stem: (key(path), [claim.code for claim in claims_in(path)])
            for path in chapters() if path.stem in chosen.chapters}  # fmt: skip
    runs = pairs(chosen.seeds, chosen.threads)
    wanted = [(profile, stem, threads, seed) for profile in chosen.profiles
              for seed, threads in runs for stem in keys]  # fmt: skip
    done = {record.what(run) for run in record.fresh(keys) if not run["failed"]}
    due = [what for what in wanted if chosen.again or what not in done]
    if chosen.spread:
        print("\n".join(line for _, line in spreads(record, keys)))
        return 0
    if not chosen.table:
        run_all(due, record, keys, chosen.at_once)
    print("\n".join(table(record, keys, wanted)))
    found = findings(record, keys)
    print("\n".join(found) or "Every recorded run went through, and every bound has room.")
    return 1 if found else 0


def run_all(due: list[tuple], record: Record, keys: Keys, at_once: int | None) -> None:
    def one(what: tuple) -> dict:
        profile, stem, threads, seed = what
        return {
            "profile": profile, "chapter": stem, "threads": threads, "seed": seed,
            "machine": machine(), "python": platform.python_version(),
            "torch": torch.__version__, "date": date.today().isoformat(),
            "code": keys[stem][0], "claimed": keys[stem][1],
            **execute(ROOT / "notebooks" / f"{stem}.md", profile, seed, threads),
        }  # fmt: skip

    left = len(due)
    for threads in sorted({what[2] for what in due}):
        with ThreadPoolExecutor(at_once or max(1, (os.cpu_count() or 1) // threads)) as pool:
            for run in as_completed(pool.submit(one, what) for what in due if what[2] == threads):
                record.add(entry := run.result())
                left -= 1
                print(*record.what(entry), entry["failed"] or f"{entry['seconds']} s",
                      f"| {left} to go", sep=", ", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
