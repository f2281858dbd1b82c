"""Results as tables in Markdown: what is stolen, what each defence costs, and the flags."""

from collections import Counter
from collections.abc import Sequence

from queen_ref.arena.report import FILLED, worst_attacks


def to_markdown(rows: Sequence[dict], measure: str = "substitute_accuracy") -> str:
    """A table for each profile, pool and policy: attacks down, defences across, mean ± spread.

    Below it what each defence costs an honest user, and the flags by number; at the end what was
    kept apart because settings, budget, data or code differ.

    >>> print(to_markdown(rows))
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
    note = (
        f"\n{FILLED}: the defence keeps the label, so this is its copy of labels: naive x top1.\n"
    )
    filled = any("from" in row for row in rows)
    return head + "\n" + _table(["attack", *defenses], body) + (note if filled else "")


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
    text = f"{row[measure]:.3f}" + (FILLED if "from" in row else "")
    return text if row["seeds"] == 1 else f"{text} ± {row[f'{measure}_sd']:.3f}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = "|".join(["---"] + ["---:"] * (len(head) - 1))
    first, *others = (f"| {' | '.join(row)} |\n" for row in (head, *body))
    return f"{first}|{rule}|\n{''.join(others)}"
