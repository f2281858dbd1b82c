"""The example in every public docstring runs, and prints what it says it prints.

An example is two lines. What it takes for granted (`victim`, `images`, `queen`, ...) is made here
once, on a tiny scale. The other names are those of the example's own module.
"""

import dataclasses
import doctest
import importlib
import json
import pkgutil
import shutil
from pathlib import Path

import numpy as np
import plotly.io
import pytest
import torch
from PIL import Image

import queen_book
import queen_ref as qr
from queen_ref import arena, plots
from queen_ref.arena.engines import Local
from queen_ref.arena.verdict import verdicts
from queen_ref.attacks import Knowledge, Sizes, train_substitute
from queen_ref.defenses import make

ROOT = Path(__file__).resolve().parents[2]
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder()
    names = [m.name for package in (qr, queen_book)
             for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]  # fmt: skip
    modules = [qr, *map(importlib.import_module, names)]
    found = (test for module in modules for test in finder.find(module, module.__name__))
    return [test for test in found if test.examples]


@pytest.fixture(scope="session")
def world() -> dict:
    """The names that examples share."""
    data = qr.data.load("smoke", seed=0)
    images, labels = data.train[0][:200], data.train[1][:200]
    victim = qr.models.build("small_cnn", data.shape, data.num_classes, seed=0)
    qr.training.fit(victim, images, labels, qr.Recipe(epochs=6), seed=0)
    config = qr.QueenConfig(shadows=2, shadows_per_query=1, map_epochs=2)
    queen = qr.Queen.fit(victim, images, labels, config=config, seed=0)
    pool = data.pools["mnist"]
    api = qr.BlackBox(queen, budget=10**9)
    queries = pool[:40]
    query = queen.look(images)
    answers = victim(queries).softmax(1).detach()
    features = victim.features(images).detach()
    rounding = make("rounding", victim)
    once = dataclasses.replace(qr.training.SUBSTITUTE, epochs=1)

    def undefended(x):
        return qr.metrics.predict(victim, x)

    recorded = arena.read(ROOT / "book" / "results" / "arena.jsonl")
    usual = [one for one in recorded if one["pool"] == "mnist" and not one.get("setting")]
    rows = arena.summarise([one for one in usual if not one.get("queen")])
    results = ROOT / "book" / "results"
    benchmarks = (results / "benchmarks.json").read_text()
    photographs = (results / "photos-map.json").read_text()
    return {
        "record": json.loads(benchmarks), "photographs": json.loads(photographs),
        "Path": Path, "dataclasses": dataclasses,
        "np": np, "torch": torch, "qr": qr, "plots": plots,
        "data": data, "images": images, "labels": labels,
        "train_images": images, "train_labels": labels,
        "test_images": data.test[0], "test_labels": data.test[1],
        "victim": victim, "head": victim.head, "model": victim, "shadow": victim,
        "features": features, "queen": queen, "query": query, "config": config,
        "feature_map": queen.feature_map, "clusters": queen.clusters,
        "centers": queen.clusters.centers, "radii": queen.clusters.radii,
        "points": query.points, "noise": data.pools["noise"][:40],
        "api": api, "pool": pool, "queries": queries, "answers": answers,
        "knowledge": Knowledge(rounding, data.pool_labels["mnist"], undefended),
        "sizes": Sizes(once, shadow_nets=2, shadow_epochs=1, table=200, recovery_epochs=2,
                       recovery_steps=4),
        "centroids": queen.centroids, "Rounding": type(rounding), "defense": rounding,
        "misinformation": victim, "read": arena.read, "Cell": arena.Cell, "Cache": arena.Cache,
        "Local": Local, "train_substitute": train_substitute,
        "detector": make("prada", victim, images=images),
        "rounding": rounding, "clean": answers, "perturbed": rounding(queries),
        "lines": recorded, "verdicts": verdicts,
        "generator": torch.Generator().manual_seed(0), "rows": rows,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where an example runs: `data/` holds data sets of a few images, `arena.jsonl` results."""
    # No renderer: a figure neither opens a browser nor, after a test with a notebook's shell,
    # prints itself.
    monkeypatch.setattr(plotly.io.renderers, "default", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("QUEEN_DATA", raising=False)
    for split in ("train", "test"):
        for name in CIFAR10:
            inside = tmp_path / "data" / "cifar10" / split / name
            inside.mkdir(parents=True)
            for number in range(2):
                pixels = np.full((32, 32, 3), 40 * number, dtype=np.uint8)
                Image.fromarray(pixels).save(inside / f"{number}.png")
    shutil.copy(ROOT / "book" / "results" / "arena.jsonl", tmp_path)
    return tmp_path


EXAMPLES = examples()


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name)
def test_example(test, world, folder):
    # The world's names stand behind the module's own.
    test.globs = {**world, **test.globs}
    lines: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lines.append, clear_globs=False)
    assert not lines, "".join(lines)


def test_examples_are_found_and_a_wrong_one_is_noticed():
    assert len(EXAMPLES) > 200
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(optionflags=FLAGS).run(wrong, out=lambda line: None).failed == 1
