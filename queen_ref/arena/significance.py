"""Is one method better than another, or was it the seed? Pairs of lines, and three tests.

Two cells of one seed share data, victim and the thief's draws, so they are compared in pairs: of
S seeds there are S differences d_s. The *sign test* asks how likely it is that so many of them
point one way if each were a coin: with 3 seeds never below .25, with 6 down to .03, with 10 to
.002. The *bootstrap* draws the S differences with replacement, again and again, and says between
which values the mean of 95 in 100 of these draws lies. *McNemar's test* looks into one seed: of
the test images that only one of two copies gets right, does one copy have more than a coin gives?
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from queen_ref.arena.apart import told_apart
from queen_ref.checks import check_number

DRAWS = 9999  # of the bootstrap


@dataclass(frozen=True)
class Comparison:
    """Two methods over their common seeds, the second minus the first.

    Arguments: `seeds`; `differences`, one a seed; `mean` of them; `low` and `high`, the 95 %
    interval of the mean by bootstrap, NaN with fewer than three seeds; `p_sign`, the two-sided
    sign test's.

    >>> compare([0.90, 0.91, 0.92], [0.95, 0.95, 0.95]).p_sign
    0.25
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p_sign: float


def compare(
    first: Sequence[float],
    second: Sequence[float],
    seeds: Sequence[int] | None = None,
    seed: int = 0,
) -> Comparison:
    """The second method minus the first, numbers of the same seeds in the same order.

    Arguments: `first` and `second`, S numbers each; `seeds`, what they are called, 0 to S - 1 by
    default; `seed` of the bootstrap's draws.
    Errors: `ValueError` for no pair, or sequences of different lengths.

    >>> round(compare([0.90, 0.91], [0.95, 0.95]).mean, 3)
    0.045
    """
    if len(first) != len(second) or len(first) == 0:
        raise ValueError(f"pairs: expected as many of both, got {len(first)} and {len(second)}")
    check_number("seed", seed, low=0, integer=True)
    differences = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    low, high = interval(differences, seed)
    return Comparison(
        tuple(range(len(first)) if seeds is None else seeds),
        tuple(differences.tolist()),
        float(differences.mean()),
        low,
        high,
        sign_test(differences),
    )


def compare_lines(
    lines: Sequence[dict],
    first: dict[str, str],
    second: dict[str, str],
    measure: str = "substitute_accuracy",
) -> Comparison:
    """`compare` for two kinds of lines of a results file, on the seeds that both have.

    Arguments: `first` and `second`, what their lines have, by names of `summarise`'s rows, as
    {"attack": "zero", "defense": "queen-strict"}; `measure`, a number of a line.
    Errors: `ValueError` if they have no seed in common, or more than one line a seed.

    >>> compare_lines(read("arena.jsonl"), {"attack": "naive", "policy": "random",
    ...               "defense": "mad"}, {"attack": "naive", "policy": "random",
    ...               "defense": "none", "pool": "mnist"}).seeds
    (0, 1, 2)
    """
    found = [by_seed(lines, wanted) for wanted in (first, second)]
    common = sorted(set(found[0]) & set(found[1]))
    if not common:
        raise ValueError(f"lines: expected seeds that {first} and {second} share, found none")
    a, b = ([one[seed][measure] for seed in common] for one in found)
    return compare(a, b, common)


def by_seed(lines: Sequence[dict], wanted: dict[str, str]) -> dict[int, dict]:
    """The lines that have what is wanted, by their seed.

    Errors: `ValueError` for two lines of one seed: something else differs between them.

    >>> sorted(by_seed(read("arena.jsonl"), {"attack": "naive", "policy": "random",
    ...                                      "defense": "mad"}))
    [0, 1, 2]
    """
    found: dict[int, dict] = {}
    for line, (words, _) in zip(lines, told_apart(lines), strict=True):
        if all(words.get(name) == value for name, value in wanted.items()):
            if line["seed"] in found:
                raise ValueError(f"lines: expected one line a seed for {wanted}, found several")
            found[line["seed"]] = line
    return found


def sign_test(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the sign test; differences of zero say nothing and are left out.

    >>> sign_test([0.1, 0.2, 0.1, 0.3, 0.1, 0.2])
    0.03125
    """
    from scipy.stats import binomtest  # slow to import, and only statistics need it

    signs = np.sign(np.asarray(differences, dtype=float))
    told = int((signs != 0).sum())
    return float(binomtest(int((signs > 0).sum()), told).pvalue) if told else 1.0


def interval(
    differences: Sequence[float] | np.ndarray, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Between which values the mean lies, by the percentiles of a bootstrap; NaN below 3 numbers.

    >>> [round(end, 6) for end in interval([0.1, 0.1, 0.1])]
    [0.1, 0.1]
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 3:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(int(seed)).choice(values, (DRAWS, len(values))).mean(1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mcnemar(first: str, second: str) -> tuple[int, int, float]:
    """McNemar's exact test of two copies of one seed: (only first right, only second, p).

    Arguments: `first` and `second`, the fields `right` of two lines, hex digits.
    Errors: `ValueError` for fields of different lengths.

    >>> mcnemar("f0", "0f")
    (4, 4, 1.0)
    """
    from scipy.stats import binomtest  # slow to import, and only statistics need it

    if len(first) != len(second):
        raise ValueError(f"right: expected as many images, got {len(first)} and {len(second)}")
    a, b = int(first, 16), int(second, 16)
    only_first, only_second = (a & ~b).bit_count(), (b & ~a).bit_count()
    told = only_first + only_second
    p = float(binomtest(only_first, told).pvalue) if told else 1.0
    return only_first, only_second, p
