"""Record where queries fall among CIFAR-10's classes: book/results/photos-map.json.

The share of each pool inside the sensitive region, for three seeds, and for the first of them some
points to draw: in the learned map, and in the UMAP of the features. No image goes into the file.

    QUEEN_DATA=/path/to/data python book/tools/photo_map.py
"""

import json
import sys
from typing import Any

import torch
from grids import RESULTS

from queen_book.figures.clustering import feature_umap
from queen_ref.arena import Cache, Cell
from queen_ref.arena.parts import SharedParts
from queen_ref.arena.provenance import machine, revision, versions
from queen_ref.cache import write_whole
from queen_ref.defenses import make
from queen_ref.metrics import accuracy
from queen_ref.progress import progress
from queen_ref.queen import Queen

SEEDS = [0, 1, 2]
OUT = RESULTS / "photos-map.json"
SHOWN = {"test images": 500, "tiny-imagenet": 600, "noise": 200}  # points that are drawn


def measured(seed: int, shown: dict[str, int] | None = None, **cell: Any) -> dict[str, Any]:
    """Shares inside, sureness of the answers, and points of `shown` of each kind, if asked.

    Arguments: `cell`, more of what makes a `Cell`: a `limit`, for a trial.

    >>> sorted(measured(seed=0, limit=64))                  # doctest: +SKIP
    ['inside', 'seed', 'source', 'sure', 'victim_accuracy', 'zeros']
    """
    parts = SharedParts(Cell("photos", "tiny-imagenet", "naive", "random", "queen", seed, **cell),
                        Cache())  # fmt: skip
    data, queen = parts.data, parts.queen
    kinds = {"test images": data.test[0], **data.pools}
    queries = {name: queen.look(images) for name, images in kinds.items()}
    inside = {
        name: queen.new_ledger().judge(query.points, query.labels).inside
        for name, query in queries.items()
    }
    found: dict[str, Any] = {
        "seed": seed,
        "source": data.source,
        "victim_accuracy": accuracy(parts.victim, *data.test),
        "inside": {name: float(share.double().mean()) for name, share in inside.items()},
        "sure": {
            name: float(query.logits.softmax(1).amax(1).median()) for name, query in queries.items()
        },
        "zeros": zeros(make("queen-strict", parts.victim, queen=queen), data.pool("tiny-imagenet")),
    }
    if shown is None:
        return found
    draw = torch.Generator().manual_seed(seed)
    rows = {name: torch.randperm(len(kinds[name]), generator=draw)[:n] for name, n in shown.items()}
    stacked = torch.cat([queries[name].features[some] for name, some in rows.items()])
    flat, marks = feature_umap(stacked.numpy(), queen.centroids.numpy(), seed)
    pieces = torch.from_numpy(flat).split([len(some) for some in rows.values()])
    found["points"] = {
        name: {
            "map": rounded(queries[name].points[some]),
            "umap": rounded(piece),
            "label": queries[name].labels[some].tolist(),
            "inside": inside[name][some].int().tolist(),
        }
        for (name, some), piece in zip(rows.items(), pieces, strict=True)
    }
    found["centers"] = rounded(queen.clusters.centers)
    found["radii"] = rounded(queen.clusters.radii)
    found["centroids"] = rounded(torch.from_numpy(marks))
    return found


def zeros(strict: Queen, images: torch.Tensor) -> dict[str, float]:
    """How far an exact zero gives away the reversed answers to these images, and their labels."""
    query = strict.look(images)
    reverse = strict.new_ledger().observe(query.points, query.labels).reverse
    answers = torch.cat([strict(part, client="thief") for part in images.split(500)])
    one = (answers == 0).sum(1) == 1
    named = answers.argmin(1) == query.labels
    return {
        "reversed": float(reverse.double().mean()),
        "with one zero, of the reversed": float(one[reverse].double().mean()),
        "with one zero, of the others": float(one[~reverse].double().mean()),
        "zero at the label, of the reversed with one": float(named[reverse & one].double().mean()),
    }


def rounded(numbers: torch.Tensor) -> list:
    """Nested lists with three digits behind the point: enough to draw.

    >>> rounded(torch.tensor([[0.12345]]))
    [[0.123]]
    """
    lists = numbers.double().tolist()
    return [[round(x, 3) for x in row] if isinstance(row, list) else round(row, 3) for row in lists]


def main() -> int:
    try:
        seeds = [measured(s, SHOWN if s == SEEDS[0] else None)
                 for s in progress(SEEDS, desc="seeds")]  # fmt: skip
    except ValueError as error:  # no images
        print(error, file=sys.stderr)
        return 2
    record = {"seeds": seeds, "machine": machine("cpu"), "versions": versions(), "git": revision()}
    write_whole(OUT, (json.dumps(record) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
