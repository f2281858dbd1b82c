"""What a cell leaves behind beside its line: the substitute, the transfer set, the curve.

A folder for each cell, called by its key. Weights and tensors are in safetensors, which loading
runs no code of; the rest is JSON.

    DIR/KEY/substitute.safetensors      the weights after the last epoch
    DIR/KEY/transfer.safetensors        images, answers and labels, row by row
    DIR/KEY/cell.json                   the cell's line: its names, its config, its curve
"""

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from queen_ref.arena.cells import FORMAT, Cell
from queen_ref.attacks import Theft
from queen_ref.cache import write_whole
from queen_ref.models import Classifier, build, shape_of

SUBSTITUTE, TRANSFER, LINE = "substitute.safetensors", "transfer.safetensors", "cell.json"


def keep(folder: str | Path, cell: Cell, line: dict, theft: Theft) -> Path:
    """Write the three files of a cell; the folder they are in.

    Errors: `ValueError` where they cannot be written.

    >>> theft = Theft(victim, queries, answers, answers, queries=40)
    >>> keep("kept", Cell("smoke", "mnist", "naive", "random", "none", 0), {}, theft).name
    'ee33f876cba3dc6bdc37'
    """
    place = Path(folder) / cell.key
    network = {
        "model": cell.settings.sizes.recipe.model,
        "shape": json.dumps(shape_of(theft.images)),
        "num_classes": str(theft.labels.shape[1]),
    }
    transfer = {"images": theft.images, "answers": theft.answers, "labels": theft.labels}
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_whole(place / SUBSTITUTE, _packed(theft.substitute.state_dict(), network))
        write_whole(place / TRANSFER, _packed(transfer, {"key": cell.key}))
        # The last one: where it is, the others are whole.
        write_whole(place / LINE, json.dumps({"format": FORMAT, **line}, indent=1).encode())
    except OSError as error:
        raise ValueError(f"keep: cannot write into {place} ({error.strerror})") from None
    return place


def kept_substitute(place: str | Path) -> Classifier:
    """The substitute in a cell's folder, on the CPU, in eval mode.

    >>> thief = kept_substitute("kept/ee33f876cba3dc6bdc37")        # doctest: +SKIP
    """
    from safetensors import safe_open  # optional: only for what was kept

    with safe_open(str(Path(place) / SUBSTITUTE), framework="pt") as file:
        about = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    channels, height, width = json.loads(about["shape"])
    model = build(about["model"], (channels, height, width), int(about["num_classes"]))
    model.load_state_dict(weights)
    return model.eval()


def check_keep(folder: str | Path | None, cells: Sequence[Cell], there: Sequence[str]) -> None:
    """Demand a library and a folder to keep with, and no cell that was measured without.

    Arguments: `there`, the keys that the results file holds.

    >>> check_keep(None, [], [])
    """
    if folder is None:
        return
    try:
        import safetensors  # noqa: F401  # optional: only for what was kept
    except ImportError:
        raise ValueError("keep: safetensors is not installed; pip install safetensors") from None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"keep: cannot write into {folder} ({error.strerror})") from None
    known = set(there)
    lost = [c for c in cells if c.key in known and not (Path(folder) / c.key / LINE).is_file()]
    if lost:
        raise ValueError(
            f"keep: expected a new results file, {len(lost)} of these cells are in it and were not "
            f"kept in {folder}: {lost[0].name}"
        )


def _packed(tensors: dict[str, Tensor], about: dict[str, str]) -> bytes:
    from safetensors.torch import save  # optional: only for what was kept

    own = {name: value.detach().cpu().clone() for name, value in tensors.items()}  # none shared
    return save(own, about)
