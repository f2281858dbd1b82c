"""Record chapter 8's lines, book/results/arena.jsonl: a plan of grids, in order of need.

Thieves who train otherwise go into a file of their own, recipes.jsonl, and what chapter 11 sets
against the lines of chapter 8 into mending.jsonl.

    python book/tools/grids.py                 goes on where it was
    python book/tools/grids.py --list          the parts, and how much of each is there
    python book/tools/grids.py key pools       only these parts

Hours: chapter 8 says how many its lines took.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from queen_ref.arena import Cache, Cell, Results, grid, run_grid
from queen_ref.arena.engines import Processes

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "book" / "results"

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
RECIPES: list[dict[str, object]] = [
    {"schedule": "cosine"},
    {"epochs": 30, "schedule": "cosine"},
    {"epochs": 30, "schedule": "step"},
    {"epochs": 30, "schedule": "constant"},
    {"epochs": 30, "schedule": "step", "weight_decay": 0.0},
]
# A QUEEN that hides: the thieves who say most about it, the others, and what it is made of.
OURS = ["queen-hidden", "queen-gated"]
AGAINST_LIES = ["naive", "top1", "drop", "early", "vote", "rename", "unswap", "names-16"]
ALONE = ["zero", "ask-twice", "names-2", "names-4", "s4l", "smoothing", "rim", "used-discs",
         "few-queries", "entropy", *KNOWING]  # fmt: skip
WHOM = ["queen-abstain", "queen-gated-cosine", "queen-gated-inside", "queen-joined"]
SIDES = (0.1, 100.0)  # of a region: nearly a lie for each query, four for each class
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
            *(
                cell
                for defense, (name, values) in SWEEPS.items()
                for cell in cells(SWEPT, [defense], SEEDS, vary=[(name, v) for v in values])
            ),
            # The other direction of GRAD^2, the stronger one, see chapter 7.
            *cells(SWEPT, ["grad2", "grad2-keep"], SEEDS, vary=[("sign", -1)]),
        ],
        "pools": by_pool([*SWEPT, "early", "names-16"]),
        "ten seeds": cells([*KEY, "names-16", "ask-twice"], MAIN, MORE),
        "undoing": cells(["ddae"], REST, SEEDS),
        "data-free": cells(["data-free"], ["none", "queen-strict", "queen", "modelguard-w"], SEEDS),
        "crafted": cells(["naive", "top1"], CRAFTED, SEEDS, policy="jbda-tr"),
        "pools, more": by_pool(["few-queries"]),
        "all": cells(ORDINARY + LOOKING, REST, SEEDS),
        "large pool": cells(["naive", "zero", "rim", "entropy", "drop"], TRIO, SEEDS, pool="all"),
        "knowing": cells(KNOWING, MAIN + REST, SEEDS),
        "crafted, watched": cells(["naive"], ["prada", "d-add"], SEEDS, policy="jbda-tr"),
        "crafted, undone": cells(["ddae"], CRAFTED, SEEDS, policy="jbda-tr"),
        "recipes": [
            cell
            for recipe in RECIPES
            for some in (
                cells(["naive"], ["none", "queen-strict"], SEEDS, recipe=recipe),
                cells(["zero"], ["queen-strict"], SEEDS, recipe=recipe),
            )
            for cell in some
        ],
        "hiding": cells(AGAINST_LIES, OURS, [*SEEDS, *MORE]),
        "hiding, foreign": [
            *cells(AGAINST_LIES, OURS, [*SEEDS, *MORE], pool="digits"),
            # What they are set against has three seeds in chapter 8's lines.
            *cells(["naive", "early", "unswap"], ["none"], MORE, pool="digits"),
            *cells(["unswap"], ["none"], SEEDS, pool="digits"),
            *cells(["naive"], ["top1"], MORE, pool="digits"),
            *cells(["naive", "zero", "early"], ["queen-strict"], MORE, pool="digits"),
        ],
        # So many accounts that none of them is accused: a gate needs some twenty queries.
        "hiding, names": [
            *cells(["names-80"], OURS, [*SEEDS, *MORE], pool="digits"),
            *cells(["names-80"], ["queen-abstain", "prada", "d-add"], SEEDS, pool="digits"),
            *cells(["names-80"], OURS, SEEDS),
        ],
        "hiding, parts": [
            *cells(AGAINST_LIES, ["queen-swapped", "queen-strict-abstain"], SEEDS),
            *by_side("queen-hidden", "mnist"),
            *cells(["zero", *AGAINST_LIES], WHOM, SEEDS, pool="digits"),
            *by_side("queen-gated", "digits"),
        ],
        "hiding, all": [
            *cells(ALONE, OURS, SEEDS),
            *cells(["naive"], OURS, SEEDS, policy="jbda-tr"),
            *cells(["naive"], WHOM, SEEDS),
        ],
        "hiding, half": cells(
            AGAINST_LIES, [*OURS, "queen-abstain"], SEEDS, pool="mnist+digits"
        ),
        "hiding, dear": [  # queen-hidden is the one with threshold 0.02
            *cells([*SWEPT, "early", "unswap"], ["queen-default-hidden"], SEEDS),
            *cells(
                [*SWEPT, "early", "unswap"], ["queen-default-hidden"], SEEDS,
                vary=[("threshold", value) for value in (0.05, 0.1, 0.4)],
            ),
        ],
    }  # fmt: skip


def cells(
    attacks: list[str], defenses: list[str], seeds: list[int], policy: str = "random", **more: Any
) -> list[Cell]:
    """`queen_ref.arena.grid` in profile `cpu`.

    >>> len(cells(["naive"], ["none", "queen"], [0, 1]))
    4
    """
    return grid("cpu", attacks, [policy], defenses, seeds, **more)


def by_pool(attacks: list[str]) -> list[Cell]:
    """Where the images are foreign, all or half of them.

    >>> {cell.pool for cell in by_pool(["naive"])} == {"digits", "mnist+digits"}
    True
    """
    pools = ("digits", "mnist+digits")
    return [
        cell
        for pool in pools
        for some in (
            cells(["naive"], ["top1"], SEEDS, pool=pool),  # what a kept label is worth there
            cells(attacks, BY_POOL, SEEDS, pool=pool),
        )
        for cell in some
    ]


def by_side(defense: str, pool: str) -> list[Cell]:
    """Regions of another size: how many lies agree with each other.

    >>> len(by_side("queen-hidden", "mnist"))
    48
    """
    vary = [("region_side", side) for side in SIDES]
    return cells(AGAINST_LIES, [defense], SEEDS, pool=pool, vary=vary)


def main(argv: Sequence[str] | None = None) -> int:
    return record("Record chapter 8's lines.", plan(), file_of, argv)


def record(
    what: str,
    parts: dict[str, list[Cell]],
    file_of: Callable[[str], str],
    argv: Sequence[str] | None = None,
) -> int:
    """Measure the cells of a plan that its files do not hold; 1 if some failed.

    Arguments: `what`, for `--help`; `parts`, cells by the name of their part; `file_of`, the file
    of a part's lines; `argv`, the words after the program's name.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("parts", nargs="*", help="parts of the plan, by default all")
    parser.add_argument("--list", action="store_true", help="say what is there, measure nothing")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the files")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    unknown = [name for name in options.parts if name not in parts]
    if unknown:
        parser.error(f"parts: expected some of {', '.join(parts)}, got {', '.join(unknown)}")
    wanted = {name: parts[name] for name in options.parts or parts}
    failed = False
    for file in dict.fromkeys(map(file_of, wanted)):
        results = Results(options.out / file)
        mine = {name: some for name, some in wanted.items() if file_of(name) == file}
        if options.list:
            for name, some in mine.items():
                there = sum(cell.key in results for cell in some)
                print(f"{file:20s} {name:16s} {there:4d} of {len(some)} cells")
            continue
        results.open_for_append()
        once = {cell.key: cell for some in mine.values() for cell in some}
        summary = run_grid([*once.values()], results, Processes(options.workers, Cache().folder))
        failed = failed or bool(summary.failed)
    return 1 if failed else 0


def file_of(part: str) -> str:
    """Where a part's lines stand: lines of another recipe would set all others apart.

    >>> file_of("key")
    'arena.jsonl'
    """
    if part.startswith("hiding"):
        return "mending.jsonl"
    return "recipes.jsonl" if part == "recipes" else "arena.jsonl"


if __name__ == "__main__":
    sys.exit(main())
