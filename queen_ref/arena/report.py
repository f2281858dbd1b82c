"""Results as tables: mean and spread over seeds, for readers and for other programs.

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
    # The file has them as they were done; readers want them as they are always listed.
    orders = {"policy": [*POLICIES], "attack": [*ATTACKS], "defense": [*DEFENSES]}
    return sorted(rows, key=lambda row: [_rank(row[name], orders.get(name)) for name in CELL])


def to_markdown(rows: Sequence[dict], measure: str = "substitute_accuracy") -> str:
    """A table for each profile, pool and policy: attacks down, defences across, mean ± spread.

    Below it what each defence costs an honest user, and the flags by number; at the end what was
    kept apart because settings, budget, data or code differ.

    >>> print(to_markdown(summarise(read("arena.jsonl"))))
    ## Profile cpu, pool mnist, policy random
    ...
    """
    parts = []
    for where in dict.fromkeys((r["profile"], r["pool"], r["policy"]) for r in rows):
        mine = [r for r in rows if (r["profile"], r["pool"], r["policy"]) == where]
        parts.append(f"## Profile {where[0]}, pool {where[1]}, policy {where[2]}\n")
        parts.append(_matrix(mine, measure))
        parts.append(_price(mine))
        parts.append(_flags(mine))
    parts.append(_kept_apart(rows))
    return "\n".join(part for part in parts if part)


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

    >>> [(row["defense"], row["attack"]) for row in worst_attacks(rows)][:2]
    [('none', 'naive'), ('top1', 'ddae')]
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


def _rank(name: str, order: Sequence[str] | None) -> tuple[int, str]:
    return (order.index(name) if order and name in order else 999, name)


def _matrix(rows: Sequence[dict], measure: str) -> str:
    defenses = list(dict.fromkeys(row["defense"] for row in rows))
    attacks = list(dict.fromkeys(row["attack"] for row in rows))
    cells = {(row["attack"], row["defense"]): row for row in rows}
    seeds = sorted({row["seeds"] for row in rows})
    count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    head = f"{measure.replace('_', ' ').capitalize()}, mean ± standard deviation; seeds: {count}.\n"
    body = [
        [attack, *(_number(cells.get((attack, name)), measure) for name in defenses)]
        for attack in attacks
    ]
    return head + "\n" + _table(["attack", *defenses], body)


def _price(rows: Sequence[dict]) -> str:
    body = []
    for name in dict.fromkeys(row["defense"] for row in rows):
        mine = [row for row in rows if row["defense"] == name]
        naive = next((row for row in mine if row["attack"] == "naive"), mine[0])
        worst = worst_attacks(mine)[0]
        body.append(
            [
                name,
                _number(naive, "protected_accuracy"),
                _number(naive, "protected_accuracy_after"),
                _number(naive, "l1"),
                f"{worst['attack']} {worst['substitute_accuracy']:.3f}",
            ]
        )
    head = ["defence", "protected accuracy", "after the attack", "L1", "steals most"]
    return _table(head, body)


def _flags(rows: Sequence[dict]) -> str:
    total: Counter = Counter()
    for row in rows:
        total.update(row["flags"])
    if not total:
        return ""
    return "Flags (cells):\n\n" + "".join(f"- {flag} ({n})\n" for flag, n in total.most_common())


def _kept_apart(rows: Sequence[dict]) -> str:
    told = sorted({row["apart"] for row in rows if "apart" in row})
    if not told:
        return ""
    head = "Kept apart, for the file holds other lines under the same names:\n\n"
    return head + "".join(f"- {text}\n" for text in told)


def _number(row: dict | None, measure: str) -> str:
    if row is None or measure not in row:
        return ""
    text = f"{row[measure]:.3f}"
    return text if row["seeds"] == 1 else f"{text} ± {row[f'{measure}_sd']:.3f}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = "|".join(["---"] + ["---:"] * (len(head) - 1))
    lines = [" | ".join(head), rule, *(" | ".join(row) for row in body)]
    return (
        "".join(f"| {line} |\n" for line in [lines[0]])
        + f"|{lines[1]}|\n"
        + "".join(f"| {line} |\n" for line in lines[2:])
    )
