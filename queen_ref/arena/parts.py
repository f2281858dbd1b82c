"""What the cells of one profile and seed share: data, victim, and what the defences are fitted to.

Each part is trained the first time somebody asks for it, and kept in the cache.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from torch import nn

from queen_ref.arena.cache import Cache
from queen_ref.arena.settings import settings_of
from queen_ref.data.profiles import Data, load
from queen_ref.defenses import Defense, make
from queen_ref.defenses.adaptive_misinformation import train_misinformation
from queen_ref.defenses.outlier_exposure import train_outlier_exposed
from queen_ref.models import Classifier, build
from queen_ref.queen import Queen
from queen_ref.queen.saving import queen_from_state
from queen_ref.training.fit import fit


class Workshop:
    """The parts of one (profile, seed), on one device.

    `seconds` says what the training of parts has cost so far, nothing for what was cached.

    >>> shop = Workshop("cpu", seed=0, cache=Cache())
    >>> defense = shop.defense("rounding")      # its victim is trained once; fresh every time
    """

    def __init__(
        self,
        profile: str,
        seed: int,
        cache: Cache,
        device: str | None = None,
        limit: int | None = None,
        queen: Sequence[tuple[str, object]] = (),
    ):
        self.profile, self.seed, self.cache, self.limit = profile, seed, cache, limit
        self.settings = settings_of(profile, limit, queen)
        self.device = device or pick_device(self.settings.device)
        self.seconds: dict[str, float] = {}

    @cached_property
    def data(self) -> Data:
        return load(self.profile, self.seed, limit=self.limit).to(self.device)

    @cached_property
    def digest(self) -> str:
        return self.data.digest()

    @cached_property
    def victim(self) -> Classifier:
        """The plain victim, which every fidelity is measured against."""

        def train():
            victim = self._build()
            fit(victim, *self.data.train, seed=self.seed, **self.settings.victim)
            return victim

        return self._model("victim", self.settings.victim, train)

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

        def prepare():
            return Queen.fit(self.victim, *self.data.train, config, self.seed).state_dict()

        settings = {"queen": asdict(config), "victim": self.settings.victim}
        state = self._get("queen", settings, prepare)
        return queen_from_state(self.victim, state)

    def defense(self, name: str) -> Defense:
        """A defence by name, with no memory yet."""
        parts: dict[str, Any] = {}
        if name.startswith("queen"):
            parts["queen"] = self.queen
        if name == "am":
            parts["outlier_exposed"] = self.outlier_exposed
            parts["misinformation"] = self.misinformation
        return make(name, self.victim, seed=self.seed, **parts)

    def _helper(self, kind: str, train: Callable[..., nn.Module]) -> Classifier:
        settings = self.settings.helpers
        images, labels = self.data.train

        def run():
            classes, model = self.data.num_classes, self.data.model
            return train(images, labels, classes, model=model, seed=self.seed, **settings)

        return self._model(kind, settings, run)

    def _model(self, kind: str, settings: dict, train: Callable[[], nn.Module]) -> Classifier:
        def weights():
            return {name: value.cpu() for name, value in train().state_dict().items()}

        model = self._build()
        model.load_state_dict(self._get(kind, settings, weights))
        return model.eval().requires_grad_(False)

    def _build(self) -> Classifier:
        data = self.data
        return build(data.model, data.shape, data.num_classes, self.seed).to(self.device)

    def _get(self, kind: str, settings: dict, make_entry: Callable[[], Any]) -> Any:
        depends = {"data": self.digest, "seed": self.seed, "settings": settings}

        def timed():
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
