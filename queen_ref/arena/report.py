"""Results over seeds: mean and spread, the worst attack, the front that no defence beats.

Lines are put together only where nothing but the seed differs. Where settings, budget, data or
code differ under the same names, `queen_ref.arena.apart` names the difference beside them.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from statistics import mean, stdev

from queen_ref.arena.apart import told_apart
from queen_ref.attacks import ATTACKS, POLICIES
from queen_ref.defenses import DEFENSES
from queen_ref.registry import says

MEASURES = (
    "substitute_accuracy",
    "substitute_accuracy_best",
    "fidelity",
    "victim_accuracy",
    "protected_accuracy",
    "protected_accuracy_after",
    "l1",
    "queries",
)
FILLED = "*"  # beside a number that `with_labels` took from elsewhere
CELL = ("profile", "pool", "policy", "attack", "defense")


def summarise(lines: Sequence[dict]) -> list[dict]:
    """One row for each (profile, pool, policy, attack, defence), its seeds put together.

    A row holds, for every measure m, `m` (the mean), `m_sd` (the sample's standard deviation,
    0 with one seed), `m_min` and `m_max`; `seeds`, how many; `flags`, each with how many seeds
    have it; `apart`, only where lines with other settings stand under the same names, what sets
    this one apart. Errors: `ValueError` without lines.

    >>> rows = summarise(read("arena.jsonl"))
    >>> rows[0]["attack"], rows[0]["defense"], rows[0]["seeds"]
    ('naive', 'none', 3)
    """
    if not lines:
        raise ValueError("results: expected at least one line, got none")
    groups: dict[tuple, list[dict]] = {}
    for line, (words, apart) in zip(lines, told_apart(lines), strict=True):
        groups.setdefault((*(words[name] for name in CELL), apart), []).append(line)
    rows = []
    for (*group, apart), members in groups.items():
        row = dict(zip(CELL, group, strict=True)) | {"seeds": len(members)}
        for name in MEASURES:
            values = [line[name] for line in members if name in line]
            if not values:
                continue
            row[name] = mean(values)
            row[f"{name}_sd"] = stdev(values) if len(values) > 1 else 0.0
            row[f"{name}_min"], row[f"{name}_max"] = min(values), max(values)
        row["seconds"] = mean(line["seconds"]["total"] for line in members)
        row["flags"] = dict(Counter(flag for line in members for flag in line["flags"]))
        if apart:
            row["apart"] = apart
        rows.append(row)
    return sorted(rows, key=_order)


def with_labels(rows: Sequence[dict]) -> list[dict]:
    """The rows, and one of the attack `top1` for each defence that keeps the label.

    The grid has no such cell: what is left of the answers is the labels, whatever the defence did
    to the rest, so the thief gets what the naive one gets of the defence `top1`. Without this row
    a defence that keeps the label looks better than it is. What the thief gets is taken from
    there, `from` says so; what the defence costs is its own naive row's.

    >>> [row["from"] for row in with_labels(rows) if row["defense"] == "mad" and "from" in row][0]
    'naive x top1'
    """
    known = {(*_place(row), row["attack"], row["defense"]): row for row in rows}
    filled = []
    for row in rows:
        place, name = _place(row), row["defense"]
        labels = known.get((*place, "naive", "top1"))
        keeps = name in DEFENSES and says(DEFENSES[name], "keeps_label", False)
        if row["attack"] == "naive" and keeps and labels and (*place, "top1", name) not in known:
            taken = {
                word: value
                for word, value in labels.items()
                if word.startswith(("substitute_accuracy", "fidelity"))
                or word in ("seeds", "flags")
            }
            filled.append({**row, **taken, "attack": "top1", "from": "naive x top1"})
    return sorted([*rows, *filled], key=_order)


def _place(row: dict) -> tuple[str, ...]:
    return row["profile"], row["pool"], row["policy"]


def to_csv(rows: Sequence[dict]) -> str:
    """The rows of `summarise`, all columns; flags as "text (seeds); ...".

    >>> to_csv(summarise(read("arena.jsonl"))).splitlines()[0][:20]
    'profile,pool,policy,'
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        noted = "; ".join(f"{flag} ({count})" for flag, count in row["flags"].items())
        writer.writerow({**row, "flags": noted})
    return text.getvalue()


def worst_attacks(rows: Sequence[dict]) -> list[dict]:
    """For each defence the row of the attack that steals most: what a defence is worth.

    >>> len(worst_attacks(rows)) == len({row["defense"] for row in rows})
    True
    """
    worst: dict[str, dict] = {}
    for row in rows:
        best = worst.get(row["defense"])
        if best is None or row["substitute_accuracy"] > best["substitute_accuracy"]:
            worst[row["defense"]] = row
    return list(worst.values())


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points (protected accuracy, substitute accuracy) that no other beats.

    A point is beaten by one that protects at least as well, lets steal at most as much, and is
    not the same point. From the left to the right.

    >>> pareto_front([(0.9, 0.5), (0.8, 0.6), (0.95, 0.9)])
    [0, 2]
    """
    kept = [
        index
        for index, (kind, stolen) in enumerate(points)
        if not any(x >= kind and y <= stolen and (x, y) != (kind, stolen) for x, y in points)
    ]
    return sorted(kept, key=lambda index: points[index])


def _order(row: dict) -> list[tuple[int, str]]:
    # The file has them as they were done; readers want them as they are always listed.
    orders = {"policy": [*POLICIES], "attack": [*ATTACKS], "defense": [*DEFENSES]}
    return [_rank(row[name], orders.get(name)) for name in CELL]


def _rank(name: str, order: Sequence[str] | None) -> tuple[int, str]:
    return (order.index(name) if order and name in order else 999, name)
