"""What every other defence costs per query: against the bare forward, and against its floor.

The floor is the forwards that a defence cannot avoid. ModelGuard-W is also compared with a
solver (scipy's HiGHS), and MAD with itself, one query at a time.
"""

import numpy as np
import torch
from scipy.optimize import linprog

import queen_ref as qr
from benchmarks.queen import BATCH
from benchmarks.timing import Record, pictures, ratio
from queen_ref.defenses import DEFENSES, make
from queen_ref.defenses.adaptive_misinformation import train_misinformation

SHAPE = (1, 28, 28)
TARGETS = {
    "rounding": 1.15,
    "reverse-sigmoid": 1.15,
    "modelguard-s": 1.3,
    "modelguard-w": 2.0,
    "mad": 12.0,
    "am": 2.3,
}
FORWARDS = {"mad": 2, "am": 2}  # of a network as large as the victim; one where not named
SOLVED = 16  # queries given to the solver


def measure(record: Record, rounds: int, quick: bool = False) -> None:
    """Add the ratios of every defence that is not QUEEN, in front of the small CNN."""
    images, labels = qr.data.digits(SHAPE[1])
    victim = qr.models.build("small_cnn", SHAPE, 10, seed=0)
    qr.training.fit(victim, images, labels, qr.Recipe(epochs=2), seed=0)
    victim.eval().requires_grad_(False)
    wrong = train_misinformation(images, labels, 10, qr.Recipe(epochs=1), seed=0)
    batch = pictures(SHAPE, BATCH)

    def bare():
        return victim(batch).softmax(1)

    record.part(f"small_cnn, images {SHAPE}, batch {BATCH}, K = 10")
    for name in DEFENSES.usual:
        if name.startswith("queen"):
            continue  # regime by regime, in benchmarks.queen
        defense = make(name, victim, outlier_exposed=victim, misinformation=wrong)
        defense(batch)  # a codebook filled, a proxy built
        forwards = FORWARDS.get(name, 1)

        def floor(forwards=forwards):
            for _ in range(forwards):
                bare()

        def run(defense=defense):
            return defense(batch)

        times, target = ratio(run, bare, rounds), TARGETS.get(name)
        about = dict(victim="small_cnn", floor=forwards)
        record.add("defences", name, "bare forward", times, target, **about)
        if forwards > 1:
            record.add("defences", name, "its floor", ratio(run, floor, rounds), **about)

    few, share = batch[:SOLVED], BATCH / SOLVED
    guard, mad = make("modelguard-w", victim), make("mad", victim)
    with torch.no_grad():
        posteriors = victim(few).softmax(1)
    solver = [share * t for t in ratio(lambda: solve(posteriors, guard.margin), bare, 3)]
    record.add("one at a time", "modelguard-w, by a solver", "bare forward", solver)
    single = ratio(lambda: [mad(image[None]) for image in few], bare, rounds)
    single = [share * t for t in single]
    record.add("one at a time", "mad, one query at a time", "bare forward", single)


def solve(posteriors: torch.Tensor, margin: float, epsilon: float = 1.0) -> np.ndarray:
    """ModelGuard-W's linear program by HiGHS, row by row: y' and its distances u from y."""
    answers = []
    for y in posteriors.double().numpy():
        classes, top = len(y), int(y.argmax())
        eye, none = np.eye(classes), np.zeros((classes, classes))
        below = np.delete(eye - eye[top], top, axis=0)  # y'_j - y'_top <= -margin
        found = linprog(
            np.r_[np.log(np.maximum(y, 1e-12)), np.zeros(classes)],
            A_ub=np.block(
                [
                    [eye, -eye],
                    [-eye, -eye],
                    [np.zeros((1, classes)), np.ones((1, classes))],
                    [below, none[1:]],
                ]
            ),
            b_ub=np.r_[y, -y, epsilon, -margin * np.ones(classes - 1)],
            A_eq=np.r_[np.ones(classes), np.zeros(classes)][None],
            b_eq=[1.0],
            method="highs",
        )
        answers.append(found.x[:classes])
    return np.array(answers)
