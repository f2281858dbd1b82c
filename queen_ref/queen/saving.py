"""A fitted QUEEN as plain numbers and tensors, and back, every entry checked.

Files are written by `torch.save` and read with `weights_only=True`: loading one cannot run
code. A state that does not fit is refused with one line before anything is changed.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from queen_ref.cache import write_whole
from queen_ref.checks import check_floats, check_number
from queen_ref.models import Victim, build, check_shape, check_victim, device_of
from queen_ref.queen.clients import Clients
from queen_ref.queen.config import QueenConfig
from queen_ref.queen.features import Clusters, FeatureMap
from queen_ref.queen.fitting import Parts
from queen_ref.queen.held_out import HeldOut
from queen_ref.queen.hidden import check_key, key_of
from queen_ref.queen.same_victim import centroid_logits, check_body, check_head, noise_features
from queen_ref.queen.saved_clients import clients_state
from queen_ref.queen.shadows import ShadowEnsemble

VERSION = 4
OLD = 2  # a dict of ledgers for the clients, no probes, no bound
# The entries that came with a version: older states have none of them.
SINCE = {3: {"probes", "max_clients", "forgotten"}, 4: {"held_out", "key"}}
ENTRIES = {
    "version", "config", "seed", "shape", "centroids", "map_widths", "feature_map",
    "centers", "radii", "shadows", "clients", "logits", *SINCE[3], *SINCE[4],
}  # fmt: skip


def queen_state(
    victim: Victim,
    config: QueenConfig,
    seed: int,
    parts: Parts,
    clients: Clients,
) -> dict[str, Any]:
    """`Queen.state_dict`: all that is needed beside the victim, as plain numbers and CPU tensors.

    >>> clients = Clients(queen.new_ledger())
    >>> state = queen_state(victim, queen.config, queen.seed, queen.parts, clients)
    """
    return {
        "version": VERSION,
        "config": asdict(config),
        "seed": seed,
        "shape": list(parts.shape),
        "centroids": parts.centroids.cpu(),
        "logits": centroid_logits(victim, parts.centroids).cpu(),
        "probes": noise_features(victim, parts.shape, parts.centroids).cpu(),
        "map_widths": list(parts.feature_map.widths),
        "feature_map": _cpu(parts.feature_map),
        "centers": parts.clusters.centers.cpu(),
        "radii": parts.clusters.radii.cpu(),
        "shadows": [_cpu(shadow) for shadow in parts.shadows.models],
        "held_out": None if parts.held_out is None else parts.held_out.as_tensor().cpu(),
        "key": parts.key.hex(),
        **clients_state(clients),
    }


def fitted_from(victim: Victim, state: Any) -> tuple[QueenConfig, int, Parts]:
    """Configuration, seed and parts of a state, for the victim they were fitted to.

    Errors: `ValueError` for a state that is not one of ours, or another victim's.

    >>> config, seed, parts = fitted_from(victim, queen.state_dict())
    """
    check_victim(victim, "features", "head")
    version = state.get("version") if isinstance(state, dict) else None
    entries = set(ENTRIES)
    for since, names in SINCE.items():
        if type(version) is int and OLD <= version < since:
            entries -= names
    if not isinstance(state, dict) or set(state) != entries:
        raise ValueError(f"state: expected a dict with {sorted(ENTRIES)}")
    if version not in range(OLD, VERSION + 1):
        raise ValueError(f"state: expected a version from {OLD} to {VERSION}, got {version!r}")
    try:
        config = QueenConfig(**state["config"])
    except TypeError as error:
        raise ValueError(f"state: expected the settings of QueenConfig: {error}") from None
    check_number("state: seed", state["seed"], low=0, integer=True)

    centroids = _tensor(state, "centroids", 2)
    classes, width = centroids.shape
    device = device_of(victim, "cpu")
    check_head(victim, centroids.to(device), _tensor(state, "logits", 2))
    shape = state["shape"]
    if not _ints(shape):
        raise ValueError("state: expected a shape (C, H, W)")
    shape = check_shape(shape)
    if version != OLD:
        check_body(victim, shape, centroids.to(device), _tensor(state, "probes", 2))
    centers, radii = _tensor(state, "centers", 2), _tensor(state, "radii", 1)
    if centers.shape != (classes, 2) or radii.shape != (classes,):
        raise ValueError(f"state: expected {classes} centers in the plane and their radii")

    widths = state["map_widths"]
    if not _ints(widths) or len(widths) < 2 or (widths[0], widths[-1]) != (width, 2):
        raise ValueError(f"state: expected map widths from {width} down to 2, got {widths!r}")
    feature_map = FeatureMap(widths)
    _load(feature_map, state["feature_map"], "feature_map")

    shadow_states = state["shadows"]
    if not isinstance(shadow_states, list):
        raise ValueError("state: expected a list of shadows")
    if len(shadow_states) != config.shadows:
        raise ValueError(f"state: expected {config.shadows} shadows, got {len(shadow_states)}")
    shadows = [build(config.shadow_arch, shape, classes) for _ in shadow_states]
    for shadow, weights in zip(shadows, shadow_states, strict=True):
        _load(shadow, weights, "shadows")

    dtype = centroids.dtype
    numbers = state.get("held_out")
    held_out = None if numbers is None else HeldOut.from_tensor(numbers)
    if config.gate is not None and held_out is None:
        raise ValueError("state: expected held_out beside a gate")
    return (
        config,
        state["seed"],
        Parts(
            shape,
            centroids.to(device),
            feature_map.to(device, dtype).eval().requires_grad_(False),
            Clusters(centers.to(device), radii.to(device)),
            ShadowEnsemble([shadow.to(device, dtype) for shadow in shadows]),
            held_out,
            _key(state["key"]) if "key" in state else key_of(state["seed"]),
        ),
    )


def save(state: dict[str, Any], path: str | Path) -> None:
    """Write the file whole: a killed process leaves the old one."""
    write_whole(path, lambda file: torch.save(state, file))


def load(path: str | Path) -> Any:
    """Read tensors and plain numbers from a file; `ValueError` if it is not such a file."""
    if not Path(path).is_file():
        raise ValueError(f"state: expected a saved state at {path}, found no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        what = type(error).__name__
        raise ValueError(f"state: expected a file written by Queen.save ({what})") from error


def _cpu(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu().clone() for name, value in module.state_dict().items()}


def _load(module: nn.Module, weights: Any, name: str) -> None:
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


def _key(word: Any) -> bytes:
    try:
        return check_key(bytes.fromhex(word))
    except (TypeError, ValueError):
        raise ValueError("state: expected the key in hex digits") from None


def _tensor(state: dict[str, Any], name: str, ndim: int) -> Tensor:
    check_floats(f"state: {name}", state[name])
    if state[name].ndim != ndim:
        raise ValueError(f"state: expected {name} with {ndim} dimensions")
    return state[name]


def _ints(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)
