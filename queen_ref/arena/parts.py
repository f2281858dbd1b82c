"""What the cells of one profile and seed share: data, victim, and what the defences are fitted to.

Each part is trained the first time somebody asks for it, and kept in the cache.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from torch import nn

from queen_ref.arena.cells import Cell
from queen_ref.cache import Cache
from queen_ref.data.profiles import Data, load
from queen_ref.defenses import Defense, make
from queen_ref.defenses.adaptive_misinformation import train_misinformation
from queen_ref.defenses.outlier_exposure import train_outlier_exposed
from queen_ref.models import Classifier, build
from queen_ref.queen import Queen
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

    @cached_property
    def data(self) -> Data:
        """The images of the profile, cut by the seed, on the device."""
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
    def outlier_exposed(self) -> Classifier:
        """The victim of adaptive misinformation, trained to be unsure of what is no image."""
        return self._helper("outlier-exposed", train_outlier_exposed)

    @cached_property
    def misinformation(self) -> Classifier:
        """The model that adaptive misinformation lies with."""
        return self._helper("misinformation", train_misinformation)

    @cached_property
    def queen(self) -> Queen:
        """QUEEN fitted to the victim; `make` takes its parts and leaves its memory alone."""
        config = self.settings.queen

        def fitted() -> dict:
            return Queen.fit(self.victim, *self.data.train, config, self.cell.seed).state_dict()

        settings = {"queen": asdict(config), "victim": asdict(self.settings.victim)}
        return Queen.from_state(self.victim, self._cached("queen", settings, fitted))

    def defense(self, name: str) -> Defense:
        """A defence by name, with no memory yet."""
        parts: dict[str, Any] = {}
        if name.startswith("queen"):
            parts["queen"] = self.queen
        if name == "am":
            parts["outlier_exposed"] = self.outlier_exposed
            parts["misinformation"] = self.misinformation
        return make(name, self.victim, seed=self.cell.seed, **parts)

    def _helper(self, kind: str, train: Callable[..., Classifier]) -> Classifier:
        recipe = self.settings.helpers
        images, labels = self.data.train

        def run() -> Classifier:
            return train(images, labels, self.data.num_classes, recipe, seed=self.cell.seed)

        return self._model(kind, recipe, run)

    def _model(self, kind: str, recipe: Recipe, train: Callable[[], nn.Module]) -> Classifier:
        def weights() -> dict:
            return {name: value.cpu() for name, value in train().state_dict().items()}

        model = self._new_model(recipe)
        model.load_state_dict(self._cached(kind, asdict(recipe), weights))
        return model.eval().requires_grad_(False)

    def _new_model(self, recipe: Recipe) -> Classifier:
        data = self.data
        return build(recipe.model, data.shape, data.num_classes, self.cell.seed).to(self.device)

    def _cached(self, kind: str, settings: dict, make_entry: Callable[[], Any]) -> Any:
        depends = {"data": self.digest, "seed": self.cell.seed, "settings": settings}

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
