"""Where the released code departs: what each departure does, measured.

    python -m benchmarks.departures                 3 seeds, writes book/results/departures.json
    python -m benchmarks.departures --seeds 0 --out one.json

Everything runs on MNIST-5k with `queen_ref`; nothing of the released code is used. Where it
does something that queen_ref has no option for, the few lines that do it are written here.
The page "Where the released code departs" shows the file this writes.
"""

import argparse
import datetime
import json
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
import sklearn
import torch
import torch.nn.functional as F
import torchvision
from scipy.optimize import minimize
from torch import Tensor

import queen_ref as qr
from queen_ref.progress import progress
from queen_ref.queen.features import (
    FeatureMap,
    contrastive_loss,
    extract_features,
    find_clusters,
    fit_feature_map,
)
from queen_ref.queen.perturbation import MAX_STEPS, STEP, walk_logits
from queen_ref.queen.unlearning import nearest_in_angle

OUT = Path(__file__).parent.parent / "book" / "results" / "departures.json"
BUDGET = 1000  # images a thief sends where a substitute is trained
AUTHORS_R = 0.005


@dataclass
class Case:
    """One seed: data, victim, its features, QUEEN with our defaults, held-out queries."""

    seed: int
    data: qr.data.Data
    victim: qr.models.Classifier
    features: Tensor  # of the training images (N, D)
    queen: qr.Queen
    queries: Tensor  # held-out MNIST (1500, 1, 28, 28)
    undefended: float  # test accuracy of a substitute trained on honest answers

    @property
    def labels(self) -> Tensor:
        return self.data.train[1]

    def answers_and_shadows(self) -> tuple[Tensor, Tensor, Tensor]:
        """y, mean softmax p and mean logits of the shadows for the first queries (B, K)."""
        images = self.queries[:BUDGET]
        chosen = self.queen.shadows.choose(images, 5, self.seed, "thief")
        y = qr.metrics.predict(self.victim, images)
        p = self.queen.shadows(images, chosen)
        return y, p, self.queen.shadows(images, chosen, mean_of=lambda logits: logits)

    def substitute(self, answers: Tensor) -> float:
        """Test accuracy of a substitute trained on these answers to the first queries."""
        images = self.queries[:BUDGET]
        model = qr.attacks.train_substitute(images, answers, seed=self.seed)
        return qr.metrics.accuracy(model, *self.data.test)


def prepare(seed: int) -> Case:
    data = qr.data.load("cpu", seed)
    victim = qr.models.build("small_cnn", data.shape, data.num_classes, seed=seed)
    qr.training.fit(victim, *data.train, qr.Recipe(epochs=10), seed=seed)
    queen = qr.Queen.fit(victim, *data.train, seed=seed)
    features = extract_features(victim, data.train[0])
    case = Case(seed, data, victim, features, queen, data.pools["mnist"], math.nan)
    case.undefended = case.substitute(qr.metrics.predict(victim, case.queries[:BUDGET]))
    return case


# Each experiment returns {row: {column: value}} for one seed.


def singleton(case: Case) -> dict:
    """A batch in which one class has a single sample, through two losses."""
    torch.manual_seed(case.seed)
    lone = (case.labels == 0).nonzero()[:1].flatten()
    rest = (case.labels != 0).nonzero()[:255].flatten()
    rows = torch.cat([lone, rest])
    features, labels = case.features[rows], case.labels[rows]

    def one_step(loss_of: Callable) -> dict:
        feature_map = FeatureMap([features.shape[1], 32, 8, 2])
        steps = torch.optim.SGD(feature_map.parameters(), lr=1e-4)
        loss = loss_of(feature_map(features), labels)
        loss.backward()
        steps.step()
        weights = torch.cat([w.detach().flatten() for w in feature_map.parameters()])
        return {
            "loss is finite": float(loss.isfinite()),
            "weights lost after one step": float((~weights.isfinite()).float().mean()),
        }

    return {
        "plain loss": one_step(plain_contrastive_loss),
        "ours, un-normalised": one_step(contrastive_loss(normalize=False)),
        "ours, normalised": one_step(contrastive_loss(normalize=True)),
    }


def plain_contrastive_loss(points: Tensor, labels: Tensor, temperature: float = 0.07) -> Tensor:
    """Khosla's loss, un-normalised, with the division by |P(i)| taken literally."""
    scores = points @ points.T / temperature
    itself = torch.eye(len(points), dtype=torch.bool)
    log_prob = scores - scores.masked_fill(itself, -math.inf).logsumexp(1, keepdim=True)
    positive = (labels[:, None] == labels) & ~itself
    return -((log_prob * positive).sum(1) / positive.sum(1)).mean()


def lone_class_chance(case: Case, trials: int = 2000) -> dict:
    """How often the last batch of an epoch holds some class exactly once: pure counting."""
    rng = np.random.default_rng(case.seed)

    def chance(classes: int, each: int, batch: int = 5000) -> float:
        labels = np.repeat(np.arange(classes), each)
        last = len(labels) % batch or batch
        hits = 0
        for _ in range(trials):
            chosen = rng.choice(labels, last, replace=False)
            hits += bool((np.bincount(chosen, minlength=classes) == 1).any())
        return hits / trials

    return {
        "200 classes of 30 images": {"epochs with a lone sample": chance(200, 30)},
        "10 classes of 5000 images": {"epochs with a lone sample": chance(10, 5000)},
    }


def feature_maps(case: Case) -> dict:
    """Our map, one trained like the authors' (1000 steps of SGD), and one on normalised points."""
    theirs, losses = fit_feature_map(
        case.features,
        case.labels,
        optimizer="sgd",
        lr=1e-4,
        epochs=200,
        batch_size=500,
        seed=case.seed,
    )
    normalised, _ = fit_feature_map(case.features, case.labels, normalize=True, seed=case.seed)
    maps = {"theirs": theirs, "ours": case.queen.feature_map, "normalised": normalised}
    result = {}
    for name, feature_map in maps.items():
        clusters = find_clusters(feature_map(case.features), case.labels, case.data.num_classes)
        ledger = qr.SensitivityLedger(clusters.centers, clusters.radii)
        result[name] = {"mean s_k": float(ledger.sensitive.mean())}
        pools = {"test": case.data.test[0], **case.data.pools}
        for pool in ("test", "digits", "noise"):
            points, labels = look(case.victim, pools[pool], feature_map)
            empty = qr.SensitivityLedger(clusters.centers, clusters.radii)
            share = empty.observe(points, labels).inside.float().mean()
            result[name][f"{pool} inside"] = float(share)
    result["theirs"]["last loss"] = losses[-1]
    result["theirs"]["chance loss"] = math.log(500 - 1)
    return result


def look(victim, images: Tensor, feature_map: FeatureMap) -> tuple[Tensor, Tensor]:
    """Mapped points (B, 2) and victim labels (B,)."""
    features = extract_features(victim, images)
    with torch.no_grad():
        return feature_map(features), victim.head(features).argmax(1)


def scale(case: Case) -> dict:
    """The same map in another unit: what is reversed with r absolute, and relative to s_k."""
    points, labels = look(case.victim, case.queries, case.queen.feature_map)
    clusters = case.queen.clusters
    result = {}
    for factor in (0.001, 0.01, 0.1, 1, 10):
        row = {}
        for name, r, units in (
            ("r = 0.005, absolute", AUTHORS_R, "absolute"),
            ("r = 0.1 s_k", 0.1, "relative"),
        ):
            ledger = qr.SensitivityLedger(
                factor * clusters.centers, factor * clusters.radii, spacing=r, units=units
            )
            verdict = ledger.observe(factor * points, labels)
            row[name] = float(verdict.reverse.sum() / verdict.inside.sum())
        result[f"map times {factor:g}"] = row
    return result


def shadow_mean(case: Case) -> dict:
    """All answers reversed, from the shadows' mean softmax or from their mean logits."""
    y, p, mean_logits = case.answers_and_shadows()
    result = {"honest answers": {"substitute accuracy": case.undefended}}
    for name, answers in (
        ("mean softmax", nearest_in_angle(2 * p - y)),
        ("mean logits", nearest_in_angle(2 * mean_logits - y)),
    ):
        result[name] = {
            "gradient cosine": float(F.cosine_similarity(p - answers, y - p).mean()),
            "answers that are one-hot": float((answers.max(1).values > 0.999).float().mean()),
            "victim's label kept": qr.metrics.agreement(answers.argmax(1), y.argmax(1)),
            "substitute accuracy": case.substitute(answers),
        }
    return result


def slsqp(case: Case, samples: int = 100, starts: int = 5) -> dict:
    """The released numerical solution from random starts, against the closed form."""
    rng = np.random.default_rng(case.seed)
    y, p, mean_logits = case.answers_and_shadows()
    hard = torch.distributions.Dirichlet(torch.full((100,), 0.05))
    torch.manual_seed(case.seed)
    wide = 2 * hard.sample((6,)) - hard.sample((6,))
    below = -torch.rand(20, 10) - 0.1
    return {
        "10 classes, 2p - y": solve((2 * p - y)[:samples], starts, rng),
        "10 classes, 2 logits - y": solve((2 * mean_logits - y)[:samples], starts, rng),
        "10 classes, no entry positive": solve(below, starts, rng),
        "100 classes, 2p - y": solve(wide, starts, rng),
    }


def solve(targets: Tensor, starts: int, rng: np.random.Generator) -> dict:
    targets = targets.double()
    closed = []
    for _ in range(20):
        begin = time.perf_counter()
        best = nearest_in_angle(targets).numpy()
        closed.append((time.perf_counter() - begin) / len(targets))
    failed, gaps, spreads, spent = [], [], [], []
    for target, answer in zip(targets.numpy(), best, strict=True):
        found = []
        for _ in range(starts):
            begin = time.perf_counter()
            outcome = minimize(
                lambda x, t=target: -cosine(x, t),
                rng.random(len(target)),
                method="SLSQP",
                bounds=[(0, 1)] * len(target),
                constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            )
            spent.append(time.perf_counter() - begin)
            failed.append(not outcome.success)
            gaps.append(cosine(answer, target) - cosine(outcome.x, target))
            found.append(outcome.x)
        spreads.append(max(np.abs(a - b).sum() for a in found for b in found))
    return {
        "runs without success": float(np.mean(failed)),
        "cosine lost, worst run": float(np.max(gaps)),
        "cosine won, best run": float(max(0.0, -np.min(gaps))),
        "L1 between starts, mean": float(np.mean(spreads)),
        "L1 between starts, worst": float(np.max(spreads)),
        "milliseconds": 1000 * float(np.median(spent)),
        "milliseconds, closed form": 1000 * float(np.median(closed)),
    }


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def statistics(case: Case) -> dict:
    """Centers and radii from 1000 images, or from augmented ones, against all as they are.

    The victim here has seen crops in training too, and the map is fitted to features of crops,
    as with the authors: only what the regions are measured on differs.
    """
    torch.manual_seed(case.seed)
    (images, labels), count = case.data.train, case.data.num_classes
    victim = qr.models.build("small_cnn", case.data.shape, count, seed=case.seed)
    both, twice = torch.cat([images, crop(images)]), torch.cat([labels, labels])
    qr.training.fit(victim, both, twice, qr.Recipe(epochs=10), seed=case.seed)
    crops = crop(images)
    feature_map, _ = fit_feature_map(extract_features(victim, crops), labels, seed=case.seed)
    rows = torch.randperm(len(images))[:1000]

    def clusters(chosen: Tensor, chosen_labels: Tensor):
        points, _ = look(victim, chosen, feature_map)
        return find_clusters(points, chosen_labels, count)

    test, test_labels = look(victim, case.data.test[0], feature_map)
    whole = clusters(images, labels)
    result = {}
    for name, part in (
        ("all training images", whole),
        ("1000 training images", clusters(images[rows], labels[rows])),
        ("1000 augmented images", clusters(crops[rows], labels[rows])),
    ):
        shift = (part.centers - whole.centers).norm(dim=1) / whole.radii
        ledger = qr.SensitivityLedger(part.centers, part.radii)
        inside = ledger.observe(test, test_labels).inside.float().mean()
        result[name] = {
            "shift of c_k / s_k, mean": float(shift.mean()),
            "shift of c_k / s_k, worst": float(shift.max()),
            "s_k ratio, median": float((part.radii / whole.radii).median()),
            "test images inside": float(inside),
        }
    return result


def crop(images: Tensor, border: int = 4) -> Tensor:
    """Random crops of the padded images: the usual augmentation, without the flip."""
    size = images.shape[-1]
    padded = F.pad(images, (border,) * 4)
    corners = torch.randint(0, 2 * border + 1, (len(images), 2)).tolist()
    return torch.stack(
        [p[:, i : i + size, j : j + size] for p, (i, j) in zip(padded, corners, strict=True)]
    )


def repeated(case: Case, times: int = 20) -> dict:
    """One reversed query asked again and again, with the shadows drawn anew each time."""
    images = case.queries[:250]
    y = qr.metrics.predict(case.victim, images)
    # A new client name draws new shadows: that is what the released code does at every call.
    answers = [case.queen.reverse(images, y, client=f"draw {i}") for i in range(times)]
    same = [case.queen.reverse(images, y, client="one") for _ in range(2)]
    average = torch.stack(answers).mean(0)

    def row(first: Tensor, second: Tensor, answer: Tensor) -> dict:
        return {
            "two answers differ": float(((first - second).abs().sum(1) > 1e-3).float().mean()),
            "victim's label in the average": qr.metrics.agreement(answer.argmax(1), y.argmax(1)),
            "L1 to the honest answer": qr.metrics.l1_distance(y, answer),
        }

    return {
        "drawn anew, one answer": {
            k: v for k, v in row(answers[0], answers[1], answers[0]).items() if k[:3] != "two"
        },
        f"drawn anew, {times} averaged": row(answers[0], answers[1], average),
        "drawn once (ours)": row(*same, same[0]),
    }


def shared_ledger(case: Case) -> dict:
    """An honest client sends the test set after a thief has sent 1500 held-out images."""
    result = {}
    for name, ledgers in (("one per client (ours)", "per-client"), ("one for all", "shared")):
        queen = case.queen.with_settings(ledgers=ledgers)
        ask(queen, case.queries, "thief")
        result[name] = honest(case, queen)
    return result


def honest(case: Case, queen: qr.Queen, client: str = "honest") -> dict:
    images, labels = case.data.test
    before = queen.report(client)["reversed"]
    answers = ask(queen, images, client)
    return {
        "accuracy": qr.metrics.agreement(answers.argmax(1), labels),
        "queries reversed": (queen.report(client)["reversed"] - before) / len(images),
    }


def ask(queen: qr.Queen, images: Tensor, client: str) -> Tensor:
    return qr.attacks.ask(lambda batch: queen(batch, client=client), images, 256)


def many_clients(case: Case) -> dict:
    """The same 1500 queries, sent under several names in turn, or across a lost memory.

    With a lower threshold than the default one, so that one client is reversed often.
    """
    queen = case.queen.with_settings(threshold=0.05)
    points, labels = look(case.victim, case.queries, queen.feature_map)

    def reversed_share(parts: list[Tensor]) -> float:
        verdicts = [queen.new_ledger().observe(points[part], labels[part]) for part in parts]
        inside = sum(int(v.inside.sum()) for v in verdicts)
        return sum(int(v.reverse.sum()) for v in verdicts) / inside

    rows = torch.arange(len(points))
    parts = {"1 client": [rows], "1 client, memory lost half-way": list(rows.chunk(2))}
    for n in (2, 5, 10):
        parts[f"{n} clients"] = [rows[i::n] for i in range(n)]
    return {
        name: {"reversed, of those inside": reversed_share(part)} for name, part in parts.items()
    }


def walk(case: Case) -> dict:
    """What the unreversed answers are: untouched, walked by lengths, walked by shares."""
    images = case.queries[:BUDGET]
    query = case.queen.look(images)
    y = query.logits.softmax(1)
    distance = torch.cdist(query.features, case.queen.centroids).amax(1)
    longest = {"absolute": (MAX_STEPS * STEP / distance).clamp_max(1).mean(), "relative": 1.0}
    result = {"untouched": {"substitute accuracy": case.undefended}}
    for name, units in (
        ("steps of length 0.05", "absolute"),
        ("steps of 5 % of the way", "relative"),
    ):
        logits, _ = walk_logits(
            query.features,
            query.logits,
            case.queen.centroids,
            case.victim.head,
            case.queen.centroid_logits,
            units,
        )
        answers = logits.softmax(1)
        result[name] = {
            "label kept": qr.metrics.agreement(answers.argmax(1), y.argmax(1)),
            "share of the way at most": float(longest[units]),
            "L1 to the honest answer": qr.metrics.l1_distance(y, answers),
            "substitute accuracy": case.substitute(answers),
        }
    return result


def protected(case: Case) -> dict:
    """What nobody printed: accuracy of the answers, for a fresh client and for a worn one."""
    images, labels = case.data.test
    y = qr.metrics.predict(case.victim, images)
    result = {"no defence": {"accuracy": qr.metrics.agreement(y.argmax(1), labels)}}
    queen = case.queen.with_settings()
    for name, client in (("fresh client", "fresh"), ("after 1500 held-out images", "worn")):
        if client == "worn":
            ask(queen, case.queries, client)
        before = queen.report(client)
        answers = ask(queen, images, client)
        after = queen.report(client)
        result[name] = {
            "accuracy": qr.metrics.agreement(answers.argmax(1), labels),
            "L1 to the honest answer": qr.metrics.l1_distance(y, answers),
            **{
                what: (after[what] - before[what]) / len(images)
                for what in ("inside", "recorded", "reversed")
            },
        }
    return result


EXPERIMENTS = {
    "singleton": singleton,
    "lone_class": lone_class_chance,
    "feature_maps": feature_maps,
    "scale": scale,
    "shadow_mean": shadow_mean,
    "slsqp": slsqp,
    "statistics": statistics,
    "repeated": repeated,
    "walk": walk,
    "shared_ledger": shared_ledger,
    "many_clients": many_clients,
    "protected": protected,
}


def collect(runs: list[dict]) -> dict:
    """One dict per seed -> {row: {column: [value of every seed]}}."""
    return {
        row: {column: [round(run[row][column], 6) for run in runs] for column in cells}
        for row, cells in runs[0].items()
    }


def show(name: str, table: dict) -> None:
    print(f"\n{name}")
    for row, cells in table.items():
        print(f"  {row}")
        for column, values in cells.items():
            mean = sum(values) / len(values)
            spread = f"{min(values):.4g} to {max(values):.4g}"
            print(f"    {column:<34}{mean:>10.4g}   ({spread})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    begin = time.perf_counter()
    runs: dict[str, list[dict]] = {name: [] for name in EXPERIMENTS}
    for seed in options.seeds:
        print(f"seed {seed}: victim and defence", flush=True)
        case = prepare(seed)
        for name, experiment in progress(list(EXPERIMENTS.items()), desc=f"seed {seed}"):
            start = time.perf_counter()
            runs[name].append(experiment(case))
            print(f"  {name}: {time.perf_counter() - start:.1f} s", flush=True)

    tables = {name: collect(results) for name, results in runs.items()}
    for name, table in tables.items():
        show(name, table)
    record = {
        "program": "benchmarks/departures.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seeds": options.seeds,
        "data": "MNIST-5k",
        "device": f"CPU, {options.threads} thread{'s' if options.threads > 1 else ''}",
        "versions": {
            "python": platform.python_version(),
            "queen_ref": qr.__version__,
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "seconds": round(time.perf_counter() - begin),
        "experiments": tables,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{options.out}")


if __name__ == "__main__":
    main()
