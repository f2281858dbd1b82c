"""A fitted QUEEN as plain numbers and tensors, and back, every entry checked.

Files are written by `torch.save` and read with `weights_only=True`: loading one cannot run
code. A state that does not fit is refused with one line before anything is changed.
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from queen_ref.checks import check_floats, check_number
from queen_ref.models import build
from queen_ref.queen.config import QueenConfig
from queen_ref.queen.defense import Client, Queen
from queen_ref.queen.features import Clusters, FeatureMap, module_device
from queen_ref.queen.fitting import Parts
from queen_ref.queen.sensitivity import SensitivityLedger
from queen_ref.queen.shadows import ShadowEnsemble

VERSION = 2
ENTRIES = {
    "version", "config", "seed", "shape", "centroids", "map_widths", "feature_map",
    "centers", "radii", "shadows", "clients", "logits",
}  # fmt: skip
COUNTS = {"queries", "inside", "recorded", "reversed"}


def queen_state(queen: Queen) -> dict:
    """`Queen.state_dict`: what `queen_from_state` needs beside the victim."""
    return {
        "version": VERSION,
        "config": asdict(queen.config),
        "seed": queen.seed,
        "shape": list(queen.shape),
        "centroids": queen.centroids.cpu(),
        "logits": _logits(queen.victim, queen.centroids).cpu(),
        "map_widths": list(queen.feature_map.widths),
        "feature_map": _cpu(queen.feature_map),
        "centers": queen.clusters.centers.cpu(),
        "radii": queen.clusters.radii.cpu(),
        "shadows": [_cpu(shadow) for shadow in queen.shadows.models],
        "clients": {
            name: {"ledger": client.ledger.state_dict(), "counts": dict(client.counts)}
            for name, client in queen.clients.items()
        },
    }


def queen_from_state(victim, state: Any) -> Queen:
    """Rebuild a defence for `victim`; `ValueError` for a state that is not one of ours."""
    if not isinstance(state, dict) or set(state) != ENTRIES:
        raise ValueError(f"state: expected a dict with {sorted(ENTRIES)}")
    if state["version"] != VERSION:
        raise ValueError(f"state: expected version {VERSION}, got {state['version']!r}")
    try:
        config = QueenConfig(**state["config"])
    except TypeError as error:
        raise ValueError(f"state: expected the settings of QueenConfig: {error}") from None
    check_number("state: seed", state["seed"], low=0, integer=True)

    centroids = _tensor(state, "centroids", 2)
    classes, width = centroids.shape
    device = module_device(victim, "cpu")
    head = _logits(victim, centroids.to(device)) if _fits(victim, width) else None
    if head is None or head.shape != (classes, classes):
        raise ValueError(f"state: expected a victim of {classes} classes with {width} features")
    # Another victim would be defended with shadows and centers that are not its own.
    if not torch.allclose(head.cpu(), _tensor(state, "logits", 2), rtol=1e-2, atol=1e-2):
        raise ValueError("state: expected the victim it was fitted to, got another one")
    centers, radii = _tensor(state, "centers", 2), _tensor(state, "radii", 1)
    if centers.shape != (classes, 2) or radii.shape != (classes,):
        raise ValueError(f"state: expected {classes} centers in the plane and their radii")

    widths = state["map_widths"]
    if not _ints(widths) or len(widths) < 2 or (widths[0], widths[-1]) != (width, 2):
        raise ValueError(f"state: expected map widths from {width} down to 2, got {widths!r}")
    feature_map = FeatureMap(widths)
    _load(feature_map, state["feature_map"], "feature_map")

    shape, shadow_states = state["shape"], state["shadows"]
    if not _ints(shape) or not isinstance(shadow_states, list):
        raise ValueError("state: expected a shape (C, H, W) and a list of shadows")
    if len(shadow_states) != config.shadows:
        raise ValueError(f"state: expected {config.shadows} shadows, got {len(shadow_states)}")
    shadows = [build(config.shadow_arch, tuple(shape), classes) for _ in shadow_states]
    for shadow, weights in zip(shadows, shadow_states, strict=True):
        _load(shadow, weights, "shadows")

    kind = centroids.dtype
    parts = Parts(
        tuple(shape),
        centroids.to(device),
        feature_map.to(device, kind).eval().requires_grad_(False),
        Clusters(centers.to(device), radii.to(device)),
        ShadowEnsemble([shadow.to(device, kind) for shadow in shadows]),
    )
    queen = Queen(victim, config, state["seed"], parts)
    if not isinstance(state["clients"], dict):
        raise ValueError("state: expected the clients' ledgers by name")
    for name, client in state["clients"].items():
        queen.clients[name] = _client(queen, name, client)
    if config.ledgers == "shared":
        for client in queen.clients.values():
            client.ledger = next(iter(queen.clients.values())).ledger
    return queen


def save(state: dict, path: str | Path) -> None:
    """Write beside the file and rename: a killed process leaves the old file whole."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    os.replace(part, path)


def load(path: str | Path) -> Any:
    """Read tensors and plain numbers from a file; `ValueError` if it is not such a file."""
    if not Path(path).is_file():
        raise ValueError(f"state: expected a saved state at {path}, found no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        what = type(error).__name__
        raise ValueError(f"state: expected a file written by Queen.save ({what})") from error


def _client(queen: Queen, name: Any, state: Any) -> Client:
    if (
        not isinstance(name, str)
        or not isinstance(state, dict)
        or set(state)
        != {
            "ledger",
            "counts",
        }
    ):
        raise ValueError("state: expected a ledger and counts for every client's name")
    counts = state["counts"]
    if not isinstance(counts, dict) or set(counts) != COUNTS or not _ints(list(counts.values())):
        raise ValueError(f"state: expected the counts {sorted(COUNTS)} of client {name!r}")
    ledger: SensitivityLedger = queen.new_ledger()
    ledger.load_state_dict(state["ledger"])
    return Client(ledger, dict(counts))


def _cpu(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu().clone() for name, value in module.state_dict().items()}


def _load(module: torch.nn.Module, weights: Any, name: str) -> None:
    wanted = module.state_dict()
    if not isinstance(weights, dict) or set(weights) != set(wanted):
        raise ValueError(f"state: expected other weights in {name}")
    for key, value in wanted.items():
        given = weights[key]
        if not isinstance(given, Tensor) or given.shape != value.shape:
            raise ValueError(f"state: expected shape {tuple(value.shape)} for {name}.{key}")
        if not bool(given.isfinite().all()):
            raise ValueError(f"state: expected finite weights in {name}.{key}")
    module.load_state_dict(weights)


def _tensor(state: dict, name: str, ndim: int) -> Tensor:
    check_floats(f"state: {name}", state[name])
    if state[name].ndim != ndim:
        raise ValueError(f"state: expected {name} with {ndim} dimensions")
    return state[name]


def _ints(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


@torch.no_grad()
def _logits(victim, centroids: Tensor) -> Tensor:
    """The victim's logits (K, K) at its own centroids: enough to know it by."""
    return victim.head(centroids)


def _fits(victim, width: int) -> bool:
    head = getattr(victim, "head", None)
    return getattr(head, "in_features", width) == width
