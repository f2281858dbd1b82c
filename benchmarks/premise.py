"""Are answers inside the sensitive region worth more to a thief than those outside?

    python -m benchmarks.premise                    10 seeds, adds to book/results/premise.jsonl
    python -m benchmarks.premise --seeds 0 --out one.jsonl

QUEEN takes it for granted: what lies near a class's center in the map, so the argument goes, is
what a thief learns most from, and only there it reverses. So three copies are trained on clean
answers, with nothing of the defence but its map: on n queries that all fall inside, on n that all
fall outside, and on n drawn from the whole pool. n is what the smaller of the two sides has, at
most 500. A second row for each pool gives all three copies the same number of each class of the
victim: inside and outside differ in their mix of classes, too, and that must not decide.

A line is one pool of one seed. A line that is there already is not measured again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import queen_ref as qr
from queen_ref.arena.provenance import versions
from queen_ref.metrics import accuracy, predict
from queen_ref.progress import progress

OUT = Path(__file__).parent.parent / "book" / "results" / "premise.jsonl"
POOLS = ("mnist", "digits", "mnist+digits")
MOST = 500  # queries of a copy
FEW = 20  # with fewer there is nothing to compare
RECIPE = qr.Recipe(epochs=30, batch_size=32, lr=0.02)  # the copy of the profile cpu, but longer


def sides(inside: Tensor, draw: torch.Generator) -> dict[str, Tensor]:
    """Rows (n,) of a pool: inside alone, outside alone, and anywhere; drawn, equally many.

    >>> {k: len(v) for k, v in sides(torch.tensor([True, False, False]), torch.Generator()).items()}
    {'inside': 1, 'outside': 1, 'anywhere': 1}
    """
    given = {"inside": inside, "outside": ~inside, "anywhere": torch.ones_like(inside)}
    count = min(MOST, int(inside.sum()), int((~inside).sum()))
    return {name: some(mask, count, draw) for name, mask in given.items()}


def balanced_sides(inside: Tensor, labels: Tensor, draw: torch.Generator) -> dict[str, Tensor]:
    """The same, but all three have the same number of each class.

    >>> sides = balanced_sides(torch.tensor([True, False]), torch.tensor([0, 0]), torch.Generator())
    >>> len(sides["inside"])
    1
    """
    found: dict[str, list[Tensor]] = {"inside": [], "outside": [], "anywhere": []}
    for k in labels.unique():
        of_class = labels == k
        given = {
            "inside": inside & of_class, "outside": ~inside & of_class, "anywhere": of_class,
        }  # fmt: skip
        count = min(int(given["inside"].sum()), int(given["outside"].sum()))
        for name, mask in given.items():
            found[name].append(some(mask, count, draw))
    return {name: torch.cat(rows) for name, rows in found.items()}


def some(mask: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """`count` of the rows that a mask (N,) allows, drawn without replacement."""
    rows = mask.nonzero().flatten()
    return rows[torch.randperm(len(rows), generator=draw)[:count]]


class Case:
    """One seed: data, the victim of the profile cpu, and QUEEN's map.

    >>> Case(0).queen.clusters.radii.shape                  # doctest: +SKIP
    torch.Size([10])
    """

    def __init__(self, seed: int):
        self.seed, self.data = seed, qr.data.load("cpu", seed)
        shape, count = self.data.shape, self.data.num_classes
        self.victim = qr.models.build("small_cnn", shape, count, seed=seed)
        qr.training.fit(self.victim, *self.data.train, qr.Recipe(epochs=10), seed=seed)
        # The shadows have no part in it.
        config = qr.QueenConfig(shadows=1, shadows_per_query=1, shadow_epochs=1)
        self.queen = qr.Queen.fit(self.victim, *self.data.train, config=config, seed=seed)


def measure(case: Case, name: str) -> dict:
    """One pool of one seed: the accuracy of the three copies, as drawn and class by class."""
    pool, draw = case.data.pool(name), torch.Generator().manual_seed(case.seed)
    query = case.queen.look(pool)
    inside = case.queen.new_ledger().observe(query.points, query.labels).inside
    clean = predict(case.victim, pool)
    ways = {
        "as drawn": sides(inside, draw),
        "same classes": balanced_sides(inside, query.labels, draw),
    }
    line = {
        "seed": case.seed, "pool": name, "inside share": float(inside.float().mean()),
        "sureness inside": mean_of(clean, inside), "sureness outside": mean_of(clean, ~inside),
        "victim": accuracy(case.victim, *case.data.test), "ways": {},
    }  # fmt: skip
    for way, rows in ways.items():
        count = len(rows["inside"])
        copies = {side: copied(case, pool[r], clean[r]) for side, r in rows.items()}
        line["ways"][way] = {"queries": count} | (copies if count >= FEW else {})
    return line


def mean_of(clean: Tensor, mask: Tensor) -> float | None:
    """Mean largest probability of the answers that a mask allows."""
    return float(clean[mask].amax(1).mean()) if mask.any() else None


def copied(case: Case, images: Tensor, answers: Tensor) -> float | None:
    """Test accuracy of a copy trained on these answers."""
    if len(images) < FEW:
        return None
    copy = qr.attacks.train_substitute(images, answers, RECIPE, seed=case.seed)
    return accuracy(copy, *case.data.test)


def table(lines: Sequence[dict]) -> str:
    """Means over the seeds, for people."""
    rows = []
    for pool in dict.fromkeys(line["pool"] for line in lines):
        for way in ("as drawn", "same classes"):
            of = [line["ways"][way] for line in lines if line["pool"] == pool]
            of = [one for one in of if "inside" in one]
            if of:
                means = {
                    side: sum(one[side] for one in of) / len(of)
                    for side in ("queries", "inside", "outside", "anywhere")
                }
                wins = sum(one["inside"] > one["outside"] for one in of)
                said = ", ".join(f"{side} {value:.3f}" for side, value in means.items())
                rows.append(f"{pool}, {way}: {said}; inside better in {wins} of {len(of)}")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    kept = chosen.out.read_text().splitlines() if chosen.out.is_file() else []
    lines = [json.loads(text) for text in kept]
    done = {(line["seed"], line["pool"]) for line in lines}
    for seed in progress(chosen.seeds, desc="seeds"):
        due = [pool for pool in POOLS if (seed, pool) not in done]
        case = Case(seed) if due else None
        for pool in due:
            line = measure(case, pool) | {"versions": versions()}
            lines.append(line)
            with chosen.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
    print(table(lines))


if __name__ == "__main__":
    main()
