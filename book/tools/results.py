"""Record chapter 8's lines, book/results/arena.jsonl: a plan of grids, in order of need.

    python book/tools/results.py                 goes on where it was
    python book/tools/results.py --list          the parts, and how much of each is there
    python book/tools/results.py key pools       only these parts

Some six hours of one core in all, shared by two workers.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from queen_ref.arena import Cache, Cell, Results, grid, run_grid
from queen_ref.arena.engines import Processes

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "book" / "results" / "arena.jsonl"

ORDINARY = ["naive", "top1", "s4l", "smoothing"]
LOOKING = ["drop", "zero", "vote", "early", "rename", "ask-twice", "names-2", "names-4", "names-16",
           "rim", "used-discs", "few-queries", "entropy"]  # fmt: skip
KNOWING = ["ddae", "ddae+", "bayes"]
KEY = ["naive", "top1", "zero", "drop", "early", "ddae", "bayes"]
TRIO = ["none", "queen-strict", "queen"]
MAIN = [*TRIO, "modelguard-w", "grad2"]
REST = ["top1", "rounding", "reverse-sigmoid", "mad", "am", "modelguard-s", "grad2-keep", "prada",
        "d-add", "dawn", "queen-strict-exact", "none-oe", "queen-shared"]  # fmt: skip
CRAFTED = ["none", "top1", "rounding", "reverse-sigmoid", "mad", "am", "modelguard-w",
           "modelguard-s", "queen", "queen-strict", "queen-strict-exact", "grad2"]  # fmt: skip
BY_POOL = ["none", "queen-strict", "queen", "modelguard-w", "am", "prada", "d-add"]
SWEPT = ["naive", "top1", "zero", "drop"]
SWEEPS: dict[str, tuple[str, tuple[float, ...]]] = {
    "queen": ("threshold", (0.02, 0.05, 0.1, 0.4)),
    "modelguard-w": ("epsilon", (0.25, 0.5, 1.5, 1.9)),
    "grad2": ("epsilon", (0.25, 0.5, 1.5, 1.9)),
    "mad": ("epsilon", (0.25, 0.5, 1.5, 1.9)),
    "reverse-sigmoid": ("beta", (0.05, 0.1, 0.5, 0.8)),
    "am": ("tau", (0.5, 0.9, 0.99)),
}
SEEDS = [0, 1, 2]
MORE = list(range(3, 10))  # where a sentence rests on it


def plan() -> dict[str, list[Cell]]:
    """The cells of each part of the plan, in the order in which they are measured.

    >>> list(plan())[:2]
    ['key', 'looking']
    """
    return {
        "key": cells(KEY, MAIN, SEEDS),
        "looking": cells(ORDINARY + LOOKING, MAIN, SEEDS),
        "prices": [
            *cells(["ddae-codebook"], ["modelguard-s"], SEEDS),
            *cells(["poison"], ["queen-shared", "queen-strict"], SEEDS),
        ],
        "others": cells(["naive", "top1", "zero", "drop", "early"], REST, SEEDS),
        "sweeps": [
            cell
            for defense, (name, values) in SWEEPS.items()
            for cell in cells(SWEPT, [defense], SEEDS, vary=[(name, v) for v in values])
        ],
        "pools": [
            cell
            for pool in ("digits", "mnist+digits")
            for cell in cells(
                ["naive", "top1", "zero", "drop", "names-16", "few-queries"],
                BY_POOL, SEEDS, pool=pool,
            )
        ],
        "ten seeds": cells([*KEY, "names-16", "ask-twice"], MAIN, MORE),
        "undoing": cells(["ddae"], REST, SEEDS),
        "data-free": cells(["data-free"], ["none", "queen-strict", "queen", "modelguard-w"], SEEDS),
        "crafted": cells(["naive", "top1"], CRAFTED, SEEDS, policy="jbda-tr"),
        "all": cells(ORDINARY + LOOKING, REST, SEEDS),
        "large pool": cells(["naive", "zero", "rim", "entropy", "drop"], TRIO, SEEDS, pool="all"),
        "knowing": cells(KNOWING, MAIN + REST, SEEDS),
        "crafted, undone": cells(["ddae"], CRAFTED, SEEDS, policy="jbda-tr"),
    }  # fmt: skip


def cells(
    attacks: list[str], defenses: list[str], seeds: list[int], policy: str = "random", **more: Any
) -> list[Cell]:
    """`queen_ref.arena.grid` in profile `cpu`.

    >>> len(cells(["naive"], ["none", "queen"], [0, 1]))
    4
    """
    return grid("cpu", attacks, [policy], defenses, seeds, **more)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Record chapter 8's lines.")
    parser.add_argument("parts", nargs="*", help="parts of the plan, by default all")
    parser.add_argument("--list", action="store_true", help="say what is there, measure nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    parts = plan()
    unknown = [name for name in options.parts if name not in parts]
    if unknown:
        parser.error(f"parts: expected some of {', '.join(parts)}, got {', '.join(unknown)}")
    wanted = {name: parts[name] for name in options.parts or parts}
    results = Results(options.out)
    if options.list:
        for name, some in wanted.items():
            there = sum(cell.key in results for cell in some)
            print(f"{name:12s} {there:4d} of {len(some)} cells")
        return 0
    results.open_for_append()
    ordered = list({cell.key: cell for some in wanted.values() for cell in some}.values())
    summary = run_grid(ordered, results, Processes(options.workers, Cache().folder))
    return 1 if summary.failed else 0


if __name__ == "__main__":
    sys.exit(main())
