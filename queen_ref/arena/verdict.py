"""What each defence is worth: its best thief of every kind, and what its honest users pay.

A defence's headline is its *best* thief. Thieves are of three kinds: *ordinary* ones train on
what they are told, or on its label; those who *look* ask and read as one does who has read of the
defence; those who *know* it hold a copy of it, or the victim's clean answers. All numbers
are differences to "no defence" within a seed, where both have victim, data and draws in common:

    Delta(a, d) = mean over seeds s of  A_sub(a, d, s) - A_sub(naive, none, s) .
"""

from collections.abc import Sequence
from dataclasses import dataclass

from queen_ref.arena.apart import told_apart
from queen_ref.attacks.registry import ATTACKS
from queen_ref.defenses.registry import DEFENSES
from queen_ref.registry import says

KINDS = ("ordinary", "looks", "knows")
ORDINARY = ("naive", "top1", "s4l", "smoothing")


@dataclass(frozen=True)
class Difference:
    """To no defence, over the seeds that both have: mean, lowest, highest.

    Arguments: `attack`, whose it is ("" for an honest client's); `seeds`; `values`, one a seed.

    >>> Difference("zero", (0, 1), (-0.02, 0.0)).mean
    -0.01
    """

    attack: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return sum(self.values) / len(self.values)

    @property
    def low(self) -> float:
        """The lowest seed's."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The highest seed's."""
        return max(self.values)


@dataclass(frozen=True)
class Verdict:
    """One defence: the best thief of each kind that was recorded, and honest clients.

    Arguments: `defense`; `naive`, the thief who trains on what he is told; `thieves`, the best by
    kind; `honest`, by the number of questions ("100", ...).

    >>> max(one.best.mean for one in verdicts(lines)) < 0.1
    True
    """

    defense: str
    naive: Difference
    thieves: dict[str, Difference]
    honest: dict[str, Difference]

    @property
    def best(self) -> Difference:
        """The best thief of all kinds."""
        return max(self.thieves.values(), key=lambda thief: thief.mean)


def kind_of(attack: str) -> str:
    """Of which kind an attack of that name is; one's own counts as one who looks.

    >>> kind_of("naive"), kind_of("zero"), kind_of("bayes")
    ('ordinary', 'looks', 'knows')
    """
    name = attack.split(" x ")[0]  # "naive x jbda-tr"
    if name in ORDINARY:
        return "ordinary"
    return "knows" if name in ATTACKS and ATTACKS[name].adaptive else "looks"


def differences(
    lines: Sequence[dict], profile: str = "cpu", pool: str = "mnist"
) -> dict[str, dict[str, Difference]]:
    """By defence and by thief: what he has more than the naive thief without a defence.

    A defence that keeps the label leaves its thieves the labels, whatever else it does: `top1` is
    there what was recorded against the defence `top1`, if its test accuracy is the victim's.

    Arguments: `lines` of a results file, with the naive thief against `none` among them;
    `profile` and `pool`, whose lines count.
    Errors: `ValueError` without the naive thief against `none`, or for two lines of one cell.

    >>> differences(read("arena.jsonl"))["none"]["naive"].mean
    0.0
    """
    cells = _cells(lines, profile, pool)
    free = cells["none"]["naive"]
    return {
        defense: {thief: _difference(cell, free, thief) for thief, cell in some.items()}
        for defense, some in cells.items()
    }


def verdicts(
    lines: Sequence[dict],
    attacks: Sequence[str] | None = None,
    profile: str = "cpu",
    pool: str = "mnist",
    least: int = 3,
) -> list[Verdict]:
    """A verdict for each defence, the one whose best thief loses most first, `none` last.

    Arguments: `lines`, `profile` and `pool`, see `differences`; `attacks`, to look at no others;
    `least`: thieves of fewer seeds do not count.
    Errors: those of `differences`.

    >>> [one.defense for one in verdicts(read("arena.jsonl"))][-1]
    'none'
    """
    cells = _cells(lines, profile, pool)
    out = []
    for defense, found in differences(lines, profile, pool).items():
        thieves: dict[str, Difference] = {}
        for attack, one in found.items():
            if len(one.seeds) < least or (attacks is not None and attack not in attacks):
                continue
            kind = kind_of(attack)
            if kind not in thieves or one.mean > thieves[kind].mean:
                thieves[kind] = one
        if thieves and "naive" in found:
            honest = _honest(cells[defense]["naive"], cells["none"]["naive"])
            out.append(Verdict(defense, found["naive"], thieves, honest))
    return sorted(out, key=lambda one: (one.defense == "none", one.best.mean))


def _cells(lines: Sequence[dict], profile: str, pool: str) -> dict[str, dict[str, dict[int, dict]]]:
    """The lines by defence (with its setting, if that is not the usual one), thief and seed."""
    found: dict[str, dict[str, dict[int, dict]]] = {}
    names: dict[str, str] = {}  # of a defence with its setting: its name
    for line, (words, _) in zip(lines, told_apart(lines), strict=True):
        if line["profile"] == profile and line["pool"] == pool:
            names[words["defense"]] = line["defense"]
            cell = found.setdefault(words["defense"], {}).setdefault(_thief(words), {})
            if line["seed"] in cell:
                raise ValueError(f"lines: expected one line a seed and cell, two of {words}")
            cell[line["seed"]] = line
    if "naive" not in found.get("none", {}):
        raise ValueError("lines: expected the naive thief against none, with random queries")
    labels = found.get("top1", {}).get("naive")
    for defense, cells in found.items():
        if labels and says(DEFENSES.get(names[defense]), "keeps_label", False):
            # Of Reverse Sigmoid the promise holds for small beta only: test images bear it out.
            if all(_labels_kept(line) for line in cells.get("naive", {}).values()):
                cells.setdefault("top1", labels)
    return found


def _labels_kept(line: dict) -> bool:
    return line.get("protected_accuracy") == line.get("victim_accuracy")


def _thief(words: dict[str, str]) -> str:
    """An attack's name, and the policy's where that is not random or the attack's own."""
    attack, policy = words["attack"], words["policy"]
    own = attack in ATTACKS and ATTACKS[attack].policy == policy
    return attack if policy == "random" or own else f"{attack} x {policy}"


def _difference(cell: dict[int, dict], free: dict[int, dict], attack: str) -> Difference:
    seeds = tuple(sorted(set(cell) & set(free)))
    stolen = "substitute_accuracy"
    return Difference(attack, seeds, tuple(cell[s][stolen] - free[s][stolen] for s in seeds))


def _honest(cell: dict[int, dict], free: dict[int, dict]) -> dict[str, Difference]:
    """What honest clients keep more than without a defence, by questions; a loss is negative."""
    seeds = tuple(s for s in sorted(set(cell) & set(free)) if "honest" in cell[s])
    if not seeds:
        return {}
    kept = {
        n: tuple(cell[s]["honest"][n] - free[s]["honest"][n] for s in seeds)
        for n in cell[seeds[0]]["honest"]
        if all(n in cell[s]["honest"] and n in free[s]["honest"] for s in seeds)
    }
    return {n: Difference("", seeds, values) for n, values in kept.items()}
