"""Which map can the ledger fill? Inside, recorded and reversed, for each map and each r.

    python -m benchmarks.maps                   3 seeds, adds to book/results/maps.jsonl
    python -m benchmarks.maps --seeds 0 --out one.jsonl

A line is one map of one seed. A line that is there already is not measured again, so that the
program can be stopped and started. At the end it prints the means over the seeds. Coverage is an
area: a map that draws classes as rays gives the ledger nothing to cover. So beside what falls
inside stands what was ever reversed, and the ceiling: what is still reversed after 50 000 queries,
when the recorded discs, in which everything is answered honestly, have grown as far as they will.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import queen_ref as qr
from queen_ref.arena.provenance import versions
from queen_ref.progress import progress
from queen_ref.queen.features import FeatureMap, extract_features, find_clusters, fit_feature_map
from queen_ref.queen.fitting import Parts

OUT = Path(__file__).parent.parent / "book" / "results" / "maps.jsonl"
MANY = 50_000  # queries of the ceiling
LAST = 10_000  # of them are counted, at the end
SPACINGS = (0.1, 0.2)  # r, as a share of s_k
MAPS: dict[str, dict] = {
    "normalised": {"normalize": True},
    "ours": {},
    # As in `benchmarks.departures`: a thousand of their steps.
    "SGD as the authors'": {
        "optimizer": "sgd", "lr": 1e-4, "epochs": 200, "batch_size": 500,
    },
}  # fmt: skip


class Case:
    """One seed: the victim of the profile cpu, and what is asked of it.

    >>> Case(0).queries.shape                               # doctest: +SKIP
    torch.Size([1500, 1, 28, 28])
    """

    def __init__(self, seed: int):
        self.seed, self.data = seed, qr.data.load("cpu", seed)
        shape, count = self.data.shape, self.data.num_classes
        self.victim = qr.models.build("small_cnn", shape, count, seed=seed)
        qr.training.fit(self.victim, *self.data.train, qr.Recipe(epochs=10), seed=seed)
        self.queen = qr.Queen.fit(self.victim, *self.data.train, seed=seed)
        self.features = extract_features(self.victim, self.data.train[0])
        pool = self.data.pools["mnist"]
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
        self.queries = pool[order[:1500]]
        draw = torch.Generator().manual_seed(seed)
        seen = [self.seen(moved(pool, 5000, draw)) for _ in range(MANY // 5000)]
        self.many = torch.cat([f for f, _ in seen]), torch.cat([y for _, y in seen])

    def seen(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D) and the victim's labels (B,)."""
        features = extract_features(self.victim, images)
        with torch.no_grad():
            return features, self.victim.head(features).argmax(1)


def moved(pool: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """Pool images drawn with replacement, moved by up to a pixel, each a little darker.

    >>> moved(pool, 100, torch.Generator()).shape           # doctest: +SKIP
    torch.Size([100, 1, 28, 28])
    """
    rows = torch.randint(len(pool), (count,), generator=draw)
    places = torch.randint(-1, 2, (count, 2), generator=draw).tolist()
    images = torch.stack([pool[r].roll(at, (1, 2)) for r, at in zip(rows, places, strict=True)])
    return images * (0.7 + 0.3 * torch.rand(count, 1, 1, 1, generator=draw))


def axis_ratio(points: Tensor, labels: Tensor) -> float:
    """Long axis over short axis of a class's points (N, 2), the median of the classes.

    >>> axis_ratio(torch.tensor([[-3.0, 0], [3, 0], [0, 1], [0, -1]]), torch.zeros(4))
    3.0
    """
    found = []
    for k in labels.unique():
        spread = torch.linalg.eigvalsh(torch.cov(points[labels == k].double().T))
        found.append(float((spread[1] / spread[0].clamp_min(1e-12)).sqrt()))
    return round(sorted(found)[len(found) // 2], 6)


def measure(case: Case, name: str) -> dict:
    """One map of one seed: what the ledger makes of it at the default threshold."""
    features, labels = case.features, case.data.train[1]
    begun = time.process_time()  # of one thread, whoever else is at work
    feature_map, losses = fit_feature_map(features, labels, seed=case.seed, **MAPS[name])
    seconds = time.process_time() - begun
    points = feature_map(features)
    clusters = find_clusters(points, labels, case.data.num_classes)
    fitted = case.queen.parts
    parts = Parts(fitted.shape, fitted.centroids, feature_map, clusters, fitted.shadows)
    by_spacing = {}
    for spacing in SPACINGS:
        config = qr.QueenConfig(spacing=spacing)
        queen = qr.Queen(case.victim, config, case.seed, parts)
        by_spacing[f"{spacing:g}"] = {
            **asked(queen, feature_map, case),
            **ceiling(queen, feature_map, case),
            **honest(queen, case),
        }
    return {
        "seed": case.seed, "map": name, "fitting seconds": round(seconds, 2),
        "axis ratio": axis_ratio(points, labels), "last loss": losses[-1], "r": by_spacing,
    }  # fmt: skip


@torch.no_grad()
def asked(queen: qr.Queen, feature_map: FeatureMap, case: Case) -> dict:
    """Of 1500 queries of one client: how many fell inside, were recorded, were reversed."""
    features, labels = case.seen(case.queries)
    verdict = queen.new_ledger().observe(feature_map(features), labels)
    recorded = verdict.inside & verdict.novel & ~verdict.reverse
    found = {"inside": verdict.inside, "recorded": recorded, "reversed": verdict.reverse}
    return {word: int(rows.sum()) for word, rows in found.items()}


@torch.no_grad()
def ceiling(queen: qr.Queen, feature_map: FeatureMap, case: Case) -> dict:
    """Shares of the inside queries that are reversed, of 50 000 and of the last 10 000."""
    features, labels = case.many
    points, ledger = feature_map(features), queen.new_ledger()
    parts = zip(points.split(2000), labels.split(2000), strict=True)
    verdicts = [ledger.observe(*part) for part in parts]
    inside = torch.cat([v.inside for v in verdicts])
    turned = torch.cat([v.reverse for v in verdicts])
    return {
        "inside of 50000": int(inside.sum()),
        "reversed of 50000": int(turned.sum()),
        "recorded of 50000": int(ledger.recorded.sum()),
        "ceiling": float(turned[-LAST:].sum() / inside[-LAST:].sum().clamp_min(1)),
    }


def honest(queen: qr.Queen, case: Case) -> dict:
    """What a fresh client keeps who asks the test set, 1000 questions."""
    images, labels = case.data.test
    fresh = queen.fresh()
    answers = qr.attacks.ask(fresh, images, 256)
    return {
        "bare": qr.metrics.accuracy(case.victim, images, labels),
        "fresh": qr.metrics.agreement(answers.argmax(1), labels),
        "fresh reversed": fresh.report()["reversed"] / len(images),
    }


def read(path: Path) -> list[dict]:
    """Whole lines of a file that may not be there, or end in a torn one."""
    texts = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(text) for text in texts if text.endswith("\n")]


def show(lines: Sequence[dict]) -> None:
    """Means over the seeds."""
    for name in MAPS:
        mine = [line for line in lines if line["map"] == name]
        if not mine:
            continue
        for word in ("fitting seconds", "axis ratio"):
            values = [line[word] for line in mine]
            print(f"{name}: {word} " + ", ".join(f"{value:.3g}" for value in values))
        for r in mine[0]["r"]:
            for word in mine[0]["r"][r]:
                told = ", ".join(f"{line['r'][r][word]:.4g}" for line in mine)
                print(f"  r = {r} s_k, {word}: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {(line["seed"], line["map"]) for line in read(options.out)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in read(options.out))
    options.out.write_text(text)  # without what a killed run had begun
    for seed in options.seeds:
        todo = [name for name in MAPS if (seed, name) not in done]
        if not todo:
            continue
        case = Case(seed)
        for name in progress(todo, desc=f"seed {seed}"):
            line = {**measure(case, name), "versions": versions()}
            with open(options.out, "a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"seed {seed}, {name}: done", flush=True)
    show(read(options.out))


if __name__ == "__main__":
    main()
