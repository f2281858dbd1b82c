"""How fast the explorers of chapters 3, 4, 5 and 7 redraw, as a share of a tenth of a second.

A tenth of a second is what still feels like one's own hand. What is timed is a slider's move: from
its new value to the new picture's text. The browser's own drawing comes on top.
"""

import numpy as np
import torch

import queen_ref as qr
from benchmarks.timing import Record, pictures, seconds
from queen_book.explorers.budget import budget_explorer
from queen_book.explorers.sensitivity import sensitivity_explorer
from queen_book.explorers.simplex import simplex_explorer

PATIENCE = 0.1  # seconds
QUERIES = 1500  # the largest budget of chapter 5, profile cpu


def measure(record: Record, rounds: int, quick: bool = False) -> None:
    """Add one row for each slider of each explorer."""
    images, labels = qr.data.digits(28)
    victim = qr.models.build("small_cnn", (1, 28, 28), 10, seed=0)
    qr.training.fit(victim, images, labels, qr.Recipe(epochs=2), seed=0)
    settings = qr.QueenConfig(map_epochs=5, shadows=1, shadows_per_query=1)
    queen = qr.Queen.fit(victim, images, labels, settings, seed=0)
    seen = queen.look(pictures((1, 28, 28), QUERIES))
    client = seen.points, seen.labels, queen.clusters
    runs = [
        dict(threshold=t, budget=b, accuracy=0.9)
        for t in (0.005, 0.02, 0.05, 0.1, 0.2)
        for b in (150, 500, QUERIES)
    ]
    record.part(f"one move of a slider, {QUERIES} queries, against {PATIENCE} s")
    for name, box in (
        ("sensitivity", sensitivity_explorer(*client)),
        ("budget", budget_explorer(runs, *client)),
        ("simplex, QUEEN", simplex_explorer("queen")),
    ):
        for slider in sliders(box):
            moves = [seconds(lambda s=slider: move(s)) / PATIENCE for _ in range(rounds + 2)]
            what = f"{name}, {slider.description}"
            record.add("explorers", what, "0.1 s", moves[2:], 1.0)


def sliders(box) -> list:
    """The sliders anywhere in a box of widgets."""
    inner = [s for child in getattr(box, "children", ()) for s in sliders(child)]
    return inner + ([box] if type(box).__name__.endswith("Slider") else [])


def move(slider) -> None:
    """To another of its values, so that everything that listens redraws."""
    if hasattr(slider, "options"):
        values = [value for _, value in slider.options]
        slider.value = values[(values.index(slider.value) + 1) % len(values)]
    else:
        steps = np.arange(slider.min, slider.max, slider.step)
        slider.value = float(steps[torch.randint(len(steps), ()).item()])
