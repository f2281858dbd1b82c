"""A fitted QUEEN as plain numbers and tensors, and back, every entry checked.

Files are written by `torch.save` and read with `weights_only=True`: loading one cannot run
code. A state that does not fit is refused with one line before anything is changed.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from queen_ref.cache import write_whole
from queen_ref.checks import check_floats, check_number
from queen_ref.models import Shape, Victim, build, check_shape, check_victim, device_of
from queen_ref.modes import evaluating
from queen_ref.queen.client import COUNTS, Client
from queen_ref.queen.config import QueenConfig
from queen_ref.queen.features import Clusters, FeatureMap
from queen_ref.queen.fitting import Parts
from queen_ref.queen.history import pack, unpack
from queen_ref.queen.sensitivity import SensitivityLedger
from queen_ref.queen.shadows import ShadowEnsemble

VERSION = 3
OLD = 2  # a dict of ledgers for the clients, no probes, no bound
NEW_ENTRIES = {"probes", "max_clients", "forgotten"}
ENTRIES = {
    "version", "config", "seed", "shape", "centroids", "map_widths", "feature_map",
    "centers", "radii", "shadows", "clients", "logits", *NEW_ENTRIES,
}  # fmt: skip
PROBES = 4  # images whose features tell one body from another
# Another device, processor or number of threads moves features by 1e-3 of their length; another
# body by its half, one that was trained on by a tenth.
SAME = 0.05


def queen_state(
    victim: Victim,
    config: QueenConfig,
    seed: int,
    parts: Parts,
    max_clients: int | None,
    forgotten: int,
    clients: Mapping[str, Client],
) -> dict[str, Any]:
    """`Queen.state_dict`: all that is needed beside the victim, as plain numbers and CPU tensors.

    >>> state = queen_state(victim, queen.config, queen.seed, queen.parts, None, 0, queen.clients)
    """
    ledgers = [client.ledger for client in clients.values()]
    if config.ledgers == "shared":
        del ledgers[1:]  # one for all
    histories = [ledger.snapshot() for ledger in ledgers]
    counts = [[getattr(client, name) for name in COUNTS] for client in clients.values()]
    return {
        "version": VERSION,
        "config": asdict(config),
        "seed": seed,
        "shape": list(parts.shape),
        "centroids": parts.centroids.cpu(),
        "logits": _logits(victim, parts.centroids).cpu(),
        "probes": _probes(victim, parts.shape, parts.centroids).cpu(),
        "map_widths": list(parts.feature_map.widths),
        "feature_map": _cpu(parts.feature_map),
        "centers": parts.clusters.centers.cpu(),
        "radii": parts.clusters.radii.cpu(),
        "shadows": [_cpu(shadow) for shadow in parts.shadows.models],
        "max_clients": max_clients,
        "forgotten": forgotten,
        "clients": {
            "names": list(clients),
            "counts": torch.tensor(counts, dtype=torch.long).reshape(-1, len(COUNTS)),
            "histories": pack(histories, ledgers[0].regions) if ledgers else {},
        },
    }


def fitted_from(victim: Victim, state: Any) -> tuple[QueenConfig, int, Parts]:
    """Configuration, seed and parts of a state, for the victim they were fitted to.

    Errors: `ValueError` for a state that is not one of ours, or another victim's.

    >>> config, seed, parts = fitted_from(victim, queen.state_dict())
    """
    check_victim(victim, "features", "head")
    version = state.get("version") if isinstance(state, dict) else None
    entries = ENTRIES - NEW_ENTRIES if version == OLD else ENTRIES
    if not isinstance(state, dict) or set(state) != entries:
        raise ValueError(f"state: expected a dict with {sorted(ENTRIES)}")
    if version not in (OLD, VERSION):
        raise ValueError(f"state: expected version {VERSION} or {OLD}, got {version!r}")
    try:
        config = QueenConfig(**state["config"])
    except TypeError as error:
        raise ValueError(f"state: expected the settings of QueenConfig: {error}") from None
    check_number("state: seed", state["seed"], low=0, integer=True)

    centroids = _tensor(state, "centroids", 2)
    classes, width = centroids.shape
    device = device_of(victim, "cpu")
    logits = _logits(victim, centroids.to(device)) if _fits(victim, width) else None
    if logits is None or logits.shape != (classes, classes):
        raise ValueError(f"state: expected a victim of {classes} classes with {width} features")
    # Another victim would be defended with shadows and centers that are not its own.
    if not torch.allclose(logits.cpu(), _tensor(state, "logits", 2), rtol=1e-2, atol=1e-2):
        raise ValueError("state: expected the victim it was fitted to, got another one")
    shape = state["shape"]
    if not _ints(shape):
        raise ValueError("state: expected a shape (C, H, W)")
    shape = check_shape(shape)
    if version != OLD:
        _check_probes(victim, shape, centroids.to(device), _tensor(state, "probes", 2))
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
    return (
        config,
        state["seed"],
        Parts(
            shape,
            centroids.to(device),
            feature_map.to(device, dtype).eval().requires_grad_(False),
            Clusters(centers.to(device), radii.to(device)),
            ShadowEnsemble([shadow.to(device, dtype) for shadow in shadows]),
        ),
    )


def bound_from(state: dict[str, Any]) -> tuple[int | None, int]:
    """How many clients a state's defence remembers at most, and how many it has forgotten.

    Errors: `ValueError` for anything but such numbers.

    >>> bound_from(queen.state_dict())
    (None, 0)
    """
    bound, forgotten = state.get("max_clients"), state.get("forgotten", 0)
    if bound is not None:
        check_number("state: max_clients", bound, low=1, integer=True)
    check_number("state: forgotten", forgotten, low=0, integer=True)
    return bound, forgotten


def clients_from(states: Any, blank: SensitivityLedger, shared: bool) -> dict[str, Client]:
    """The clients of a state by name.

    Arguments: `states`, the state's entry "clients"; `blank`, an empty ledger; `shared`,
    whether all have one ledger. Errors: `ValueError` for an entry that does not fit.

    >>> clients = clients_from(queen.state_dict()["clients"], queen.new_ledger(), shared=False)
    """
    if not isinstance(states, dict):
        raise ValueError("state: expected the clients' ledgers by name")
    if set(states) != {"names", "counts", "histories"} or not isinstance(states["names"], list):
        return _old_clients(states, blank, shared)
    names, counts, histories = states["names"], states["counts"], states["histories"]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("state: expected a name for every client, each once")
    whole = isinstance(counts, Tensor) and counts.dtype == torch.long
    if not whole or counts.shape != (len(names), len(COUNTS)) or bool((counts < 0).any()):
        raise ValueError(f"state: expected the counts {COUNTS} of {len(names)} clients")
    if not names:
        return {}
    ledgers = [blank.fork(history) for history in unpack(histories, blank.regions)]
    if len(ledgers) != (1 if shared else len(names)):
        raise ValueError(f"state: expected the ledgers of {len(names)} clients, got {len(ledgers)}")
    ledgers = ledgers * len(names) if shared else ledgers
    rows = zip(names, ledgers, counts.tolist(), strict=True)
    return {name: Client(ledger, *row) for name, ledger, row in rows}


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


def _old_clients(
    states: dict[Any, Any], blank: SensitivityLedger, shared: bool
) -> dict[str, Client]:
    clients = {name: _old_client(name, state, blank.fork()) for name, state in states.items()}
    if shared:
        for client in clients.values():
            client.ledger = next(iter(clients.values())).ledger
    return clients


def _old_client(name: Any, state: Any, ledger: SensitivityLedger) -> Client:
    whole = isinstance(state, dict) and set(state) == {"ledger", "counts"}
    if not isinstance(name, str) or not whole:
        raise ValueError("state: expected a ledger and counts for every client's name")
    counts = state["counts"]
    fits = isinstance(counts, dict) and set(counts) == set(COUNTS)
    if not fits or not _ints(list(counts.values())):
        raise ValueError(f"state: expected the counts {sorted(COUNTS)} of client {name!r}")
    ledger.load_state_dict(state["ledger"])
    return Client(ledger, **counts)


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


def _tensor(state: dict[str, Any], name: str, ndim: int) -> Tensor:
    check_floats(f"state: {name}", state[name])
    if state[name].ndim != ndim:
        raise ValueError(f"state: expected {name} with {ndim} dimensions")
    return state[name]


def _ints(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


@torch.no_grad()
def _logits(victim: Victim, centroids: Tensor) -> Tensor:
    """The victim's logits (K, K) at its own centroids: enough to know it by."""
    with evaluating(victim):
        return victim.head(centroids).to(centroids.dtype)


@torch.no_grad()
def _probes(victim: Victim, shape: Shape, like: Tensor) -> Tensor:
    """The victim's features (P, D) of a few noise images: its body, where `_logits` is its head."""
    images = torch.rand(PROBES, *shape, generator=torch.Generator().manual_seed(0))
    with evaluating(victim):
        return victim.features(images.to(like)).to(like.dtype)


def _check_probes(victim: Victim, shape: Shape, centroids: Tensor, wanted: Tensor) -> None:
    found = _probes(victim, shape, centroids).cpu().double()
    fits = found.shape == wanted.shape
    if not fits or bool(((found - wanted).norm(dim=1) > SAME * wanted.norm(dim=1) + 1e-6).any()):
        raise ValueError("state: expected the victim it was fitted to, got one with another body")


def _fits(victim: Victim, width: int) -> bool:
    return getattr(victim.head, "in_features", width) == width
