"""What every defence costs per query, as a ratio to the victim's bare forward.

    make bench

One batch of 256 in front of the small CNN, each defence timed in turn with the bare forward.
Beside the ratio stands the floor: the forwards that this defence cannot avoid. ModelGuard-W is
also compared with a solver (scipy's HiGHS) and MAD with itself, one query at a time.
"""

import argparse
import platform
import time

import numpy as np
import torch
from scipy.optimize import linprog

import queen_ref as qr
from benchmarks.queen import BATCH, pictures, ratio, report
from queen_ref.defenses import make
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--rounds", type=int, default=21, help="timings of each defence")
    arguments.add_argument("--solved", type=int, default=16, help="queries given to the solver")
    options = arguments.parse_args()
    print(
        f"machine: {platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
    images, labels = qr.data.digits(SHAPE[1])
    victim = qr.models.build("small_cnn", SHAPE, 10, seed=0)
    qr.training.fit(victim, images, labels, epochs=2, seed=0)
    victim.eval().requires_grad_(False)
    wrong = train_misinformation(images, labels, 10, epochs=1, seed=0)
    batch = pictures(SHAPE, BATCH)

    def bare():
        return victim(batch).softmax(1)

    print(f"\nsmall_cnn, images {SHAPE}, batch {BATCH}, K = 10")
    rows: list[dict] = []
    for name, target in TARGETS.items():
        defense = make(name, victim, outlier_exposed=victim, misinformation=wrong)
        defense(batch)  # a codebook filled, a proxy built
        note = f"   target at most {target}, floor {FORWARDS.get(name, 1)}"
        report(
            rows,
            "small_cnn",
            name,
            "bare forward",
            ratio(lambda d=defense: d(batch), bare, options.rounds),
            note,
        )

    few, share = batch[: options.solved], BATCH / options.solved
    guard, mad = make("modelguard-w", victim), make("mad", victim)
    with torch.no_grad():
        posteriors = victim(few).softmax(1)
    solver = [t * share for t in ratio(lambda: solve(posteriors, guard.margin), bare, 3)]
    report(rows, "small_cnn", "modelguard-w by a solver", "bare forward", solver, "")
    single = [
        t * share for t in ratio(lambda: [mad(image[None]) for image in few], bare, options.rounds)
    ]
    report(rows, "small_cnn", "mad, one query at a time", "bare forward", single, "")


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


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"\n{time.perf_counter() - start:.0f} s")
