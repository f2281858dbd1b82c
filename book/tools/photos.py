"""Record the lines on photographs, book/results/photos.jsonl: a plan of grids in profile `photos`.

Thieves with fewer queries go into photos-budgets.jsonl, thieves with another network or another
training into photos-recipes.jsonl: beside the others they would set all lines apart.

    QUEEN_DATA=/path/to/data python book/tools/photos.py     goes on where it was
    python book/tools/photos.py --list                       the parts, and how much is there
    QUEEN_DATA=... python book/tools/photos.py first key     only these parts

Hours, on any machine. A trial: queen-ref arena --profile photos --limit 128 --out trial.jsonl
"""

import sys
from collections.abc import Sequence
from typing import Any

from grids import record

from queen_ref.arena import Cell, grid
from queen_ref.data.datasets import data_root
from queen_ref.data.layouts import origin
from queen_ref.data.photographs import NAMES

SEEDS = [0, 1, 2]
MAIN = ["queen", "queen-strict", "queen-hidden", "queen-gated"]
OURS = MAIN[2:]
# In the order of need. The zero is what the paper's answer shows: hidden answers have none, and
# reading them is naive.
THIEVES = ["naive", "early", "zero", "unswap", "top1", "names-16", "drop", "bayes"]
# Who looks, and who knows the mend, its settings and not its key. Renaming needs labels in the
# victim's classes, which Tiny ImageNet has not.
LOOKING = ["vote", "ask-twice", "rim", "used-discs", "few-queries", "entropy"]
REST = ["top1", "reverse-sigmoid", "mad", "am", "modelguard-w", "modelguard-s", "grad2", "d-add"]
USUAL = ["naive", "top1", "drop", "early", "bayes", "names-16"]  # those that suit a defence
BUDGETED = ["none", "queen-strict", "queen-gated"]
# Queries, and the epochs that a thief needs who has so few: a batch holds 64.
BUDGETS: dict[int, dict[str, object]] = {
    300: {"epochs": 30},
    1000: {"epochs": 30},
    3000: {"epochs": 30},
    10_000: {},
}
OTHER_NETWORK: dict[str, object] = {"model": "resnet8"}
LITERATURE: dict[str, object] = {"epochs": 30, "schedule": "step", "batch_size": 128}


def plan() -> dict[str, list[Cell]]:
    """The cells of each part of the plan, in the order in which they are measured.

    >>> list(plan())[:2]
    ['first', 'key']
    """
    return {
        # The seeds in turns: with one seed after the other all workers would wait for the same
        # victim, and a record that is broken off would have pairs of one seed only.
        "first": in_turns(cells(["naive"], ["none", *MAIN], SEEDS)),
        "key": in_turns(
            [
                *cells(["early"], ["none", *MAIN], SEEDS),
                *cells(["zero"], MAIN[:2], SEEDS),
                *cells(["unswap"], OURS, SEEDS),
            ]
        ),
        "budgets": [
            cell
            for attack in ("naive", "early")
            for budget, recipe in BUDGETS.items()
            for cell in cells([attack], BUDGETED, SEEDS, budget=budget, recipe=recipe)
        ],
        "more": in_turns(
            [
                *cells(["top1", "drop"], ["none", *MAIN], SEEDS),
                *cells(["names-16", "bayes"], MAIN, SEEDS),
            ]
        ),
        "abstaining": cells(["naive", "drop", "early"], ["queen-abstain"], SEEDS),
        "helpers": in_turns(cells(["naive"], ["am"], SEEDS)),  # as "first", for AM's two models
        "others": cells(USUAL, REST, SEEDS),
        "looking": cells(LOOKING, OURS, SEEDS),
        "control": cells(["naive", "drop", "early"], ["none-oe"], SEEDS[:1]),
        "copies": cells(["naive"], ["none", *MAIN], SEEDS, recipe=OTHER_NETWORK),
        "recipes": cells(["naive"], ["none", *MAIN[1:]], SEEDS, recipe=LITERATURE),
    }


def cells(attacks: list[str], defenses: list[str], seeds: list[int], **more: Any) -> list[Cell]:
    """`queen_ref.arena.grid` in profile `photos`, with random queries.

    >>> len(cells(["naive", "names-16"], ["none", "queen"], [0, 1]))
    6
    """
    return grid("photos", attacks, ["random"], defenses, seeds, **more)


def in_turns(some: list[Cell]) -> list[Cell]:
    """The same cells, all seeds of a pair before the next pair, the thieves in their order.

    >>> [cell.seed for cell in in_turns(cells(["naive"], ["none", "am"], [0, 1]))]
    [0, 1, 0, 1]
    """
    defenses = list(dict.fromkeys(cell.defense for cell in some))
    return sorted(some, key=lambda c: (THIEVES.index(c.attack), defenses.index(c.defense)))


def file_of(part: str) -> str:
    """Where a part's lines stand.

    >>> file_of("key")
    'photos.jsonl'
    """
    others = {"budgets": "budgets", "copies": "recipes", "recipes": "recipes"}
    return f"photos-{others[part]}.jsonl" if part in others else "photos.jsonl"


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if not {"--list", "-h", "--help"} & set(words):
        try:
            for name in NAMES:
                print(f"{name}: {origin(name, data_root())}")
        except ValueError as error:  # in one line, and not once for every cell
            print(error, file=sys.stderr)
            return 2
    return record("Record the lines on photographs.", plan(), file_of, words)


if __name__ == "__main__":
    sys.exit(main())
