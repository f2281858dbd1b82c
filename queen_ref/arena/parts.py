"""What the cells of one profile and seed share: data, victim, and what the defences are fitted to.

Each part is trained the first time somebody asks for it, and kept in the cache, under all that
decides it: data, seed, settings, and the code that trains.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from queen_ref.arena.cells import Cell
from queen_ref.arena.code import code_of, library_code
from queen_ref.arena.honest import CHANGES, CLIENTS, FEW, honest_accuracy
from queen_ref.cache import Cache
from queen_ref.data.profiles import Data, load
from queen_ref.defenses.adaptive_misinformation import train_misinformation
from queen_ref.defenses.base import Defense
from queen_ref.defenses.grad2 import SURROGATE, train_surrogate
from queen_ref.defenses.outlier_exposure import train_outlier_exposed
from queen_ref.defenses.registry import Maker, find, make, parts_of
from queen_ref.metrics import predict
from queen_ref.models import Builder, Classifier, build
from queen_ref.queen import Queen, QueenConfig, Variant
from queen_ref.training.fit import fit
from queen_ref.training.recipe import Recipe


class SharedParts:
    """The parts of a cell's profile, seed, limit and settings of QUEEN, on one device.

    Arguments: `cell`, any one of those that share them; `device`, the settings' own by default.
    `seconds` says what the training of parts has cost so far, nothing for what was cached.

    >>> cell = Cell("smoke", "mnist", "naive", "random", "rounding", seed=0)
    >>> defense = SharedParts(cell, Cache()).defense("rounding")    # its victim is trained once
    """

    def __init__(self, cell: Cell, cache: Cache, device: str | None = None):
        self.cell, self.cache, self.settings = cell, cache, cell.settings
        self.device = device or pick_device(self.settings.device)
        self.seconds: dict[str, float] = {}
        self._queens: dict[QueenConfig, Queen] = {}

    @cached_property
    def data(self) -> Data:
        """The images of the profile, cut by the seed, or one's own; on the device."""
        own = self.cell.brought.data
        if own is not None:
            return own.to(self.device)
        return load(self.cell.profile, self.cell.seed, limit=self.cell.limit).to(self.device)

    @cached_property
    def digest(self) -> str:
        """Of every image and label; every part depends on it."""
        return self.data.digest()

    @cached_property
    def victim(self) -> Classifier:
        """The plain victim, which every fidelity is measured against."""
        recipe = self.settings.victim

        def train() -> Classifier:
            victim = self._new_model(recipe)
            fit(victim, *self.data.train, recipe, seed=self.cell.seed)
            return victim

        return self._model("victim", recipe, train)

    @cached_property
    def victim_labels(self) -> Tensor:
        """What it says about the test images, (N,): fidelity over epochs is measured by it."""
        return predict(self.victim, self.data.test[0]).argmax(1)

    @cached_property
    def outlier_exposed(self) -> Classifier:
        """The victim of adaptive misinformation, trained to be unsure of what is no image."""
        return self._helper("outlier-exposed", train_outlier_exposed)

    @cached_property
    def misinformation(self) -> Classifier:
        """The model that adaptive misinformation lies with."""
        return self._helper("misinformation", train_misinformation)

    @cached_property
    def surrogate(self) -> nn.Module:
        """The copy of a thief that GRAD^2 pushes aside."""
        data, seed = self.data, self.cell.seed
        settings = {**asdict(SURROGATE), "victim": self._network(self.settings.victim)}

        def weights() -> dict:
            trained = train_surrogate(self.victim, data.train[0], seed)
            return {name: value.cpu() for name, value in trained.state_dict().items()}

        model = build(SURROGATE.model, data.shape, data.num_classes, seed).to(self.device)
        model.load_state_dict(self._cached("surrogate", settings, weights))
        return model.eval()

    @property
    def held_out(self) -> Tensor:
        """What the owner of a gate has kept back: every other test image.

        Accuracies are taken on all of them. The gate learns two numbers from its half: the median
        of how sure the victim is, and the share inside.
        """
        return self.data.test[0][::2]

    @property
    def queen(self) -> Queen:
        """QUEEN fitted to the victim; `make` takes its parts and leaves its memory alone."""
        return self.queen_of(self.settings.queen)

    def queen_of(self, config: QueenConfig) -> Queen:
        """QUEEN fitted under these settings."""
        if config not in self._queens:

            def fitted() -> dict:
                seed, held_out = self.cell.seed, self.held_out
                queen = Queen.fit(self.victim, *self.data.train, config, seed, held_out=held_out)
                return queen.state_dict()

            settings = {"queen": asdict(config), "victim": self._network(self.settings.victim)}
            state = self._cached("queen", settings, fitted)
            self._queens[config] = Queen.from_state(self.victim, state)
        return self._queens[config]

    def defense(self, name: str | Maker) -> Defense:
        """A defence by name, or one's own, with no memory yet."""
        maker = find(name)
        images, labels = self.data.train
        parts: dict[str, Any] = {"images": images, "labels": labels, "seed": self.cell.seed}
        asked = parts_of(maker)
        if "queen" in asked:
            config = self.settings.queen
            if isinstance(maker, Variant):
                changes: dict[str, Any] = dict(self.cell.queen)
                config = replace(maker.config, **changes)
            parts["queen"] = self.queen_of(config)
        for part in ("outlier_exposed", "misinformation", "surrogate"):
            if part in asked:
                parts[part] = getattr(self, part)
        return make(name, self.victim, **parts)

    def honest(self, cell: Cell, defense: Defense, change: str | None = None) -> dict[str, float]:
        """What an honest client keeps by the number of his questions, see `arena.honest`.

        The thief has no part in it: it is measured once for all attacks on the cell's defence.
        Arguments: `change`, a name of `arena.honest.CHANGES`, what is done to his images.
        """
        small = cell.profile == "smoke" or cell.limit is not None
        clients = FEW if small else CLIENTS
        settings = {
            "defense": cell.defense,
            "code": dict(cell.code).get("defense"),
            "setting": cell.setting,
            "clients": clients,
            "queen": asdict(self.settings.queen),
            "victim": self._network(self.settings.victim),
            "helpers": self._network(self.settings.helpers),
        } | ({} if change is None else {"change": change})

        def asked() -> dict[str, float]:
            images, labels = self.data.test
            images = images if change is None else CHANGES[change](images)
            return honest_accuracy(defense, images, labels, clients, cell.seed)

        return self._cached("honest", settings, asked)

    def honest_flagged(self, cell: Cell, defense: Any, count: int, length: int) -> int:
        """At how many honest accounts a detector fires: the same for every attack on it.

        They ask test images; where a gate learned from half of those, the other half.
        """
        settings = {
            "defense": cell.defense,
            "code": dict(cell.code).get("defense", ""),
            "setting": cell.setting,
            "victim": self._network(self.settings.victim),
            "count": count,
            "length": length,
        }
        images = self.data.test[0]
        if isinstance(defense, Queen):
            settings["queen"] = asdict(defense.config)
            images = images[1::2]

        def flagged() -> dict[str, int]:
            return {"flagged": defense.fresh().flagged_streams(images, count, length)}

        return int(self._cached("honest", settings, flagged)["flagged"])

    def _helper(self, kind: str, train: Callable[..., Classifier]) -> Classifier:
        recipe, network = self.settings.helpers, self.cell.brought.model
        images, labels = self.data.train
        more: dict[str, Builder] = {} if network is None else {"model": network}

        def run() -> Classifier:
            classes, seed = self.data.num_classes, self.cell.seed
            return train(images, labels, classes, recipe, seed=seed, **more)

        return self._model(kind, recipe, run)

    def _model(self, kind: str, recipe: Recipe, train: Callable[[], nn.Module]) -> Classifier:
        def weights() -> dict:
            return {name: value.cpu() for name, value in train().state_dict().items()}

        model = self._new_model(recipe)
        model.load_state_dict(self._cached(kind, self._network(recipe), weights))
        return model.eval().requires_grad_(False)

    def _new_model(self, recipe: Recipe) -> Classifier:
        data, own = self.data, self.cell.brought.model
        network = recipe.model if own is None else own
        return build(network, data.shape, data.num_classes, self.cell.seed).to(self.device)

    def _network(self, recipe: Recipe) -> dict:
        """The recipe as the cache's key has it, with the code of a network of one's own."""
        own = self.cell.brought.model
        return asdict(recipe) if own is None else {**asdict(recipe), "own": code_of(own)}

    def _cached(self, kind: str, settings: dict, make_entry: Callable[[], Any]) -> Any:
        depends = {"data": self.digest, "seed": self.cell.seed, "settings": settings}
        depends["code"] = library_code()

        def timed() -> Any:
            start = time.perf_counter()
            entry = make_entry()
            self.seconds[kind] = time.perf_counter() - start
            return entry

        return self.cache.get(kind, depends, timed)


def pick_device(name: str) -> str:
    """ "auto" is a GPU if there is one; other names pass.

    >>> pick_device("cpu")
    'cpu'
    """
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
