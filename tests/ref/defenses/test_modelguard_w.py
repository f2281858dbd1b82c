"""ModelGuard-W: the optimum of its linear programme."""

import numpy as np
import pytest
import torch

from queen_ref.defenses import ModelGuardW
from queen_ref.defenses.modelguard_w import worst_answer

IMAGE = torch.zeros(1, 1, 8, 8)


def linear_programme(y, epsilon, margin):
    """ModelGuard-W's optimum by HiGHS, with a variable for every |y'_k - y_k|."""
    from scipy.optimize import linprog

    classes, top = len(y), int(y.argmax())
    one, zero = np.eye(classes), np.zeros(classes)
    lead = np.delete(one - one[top], top, 0)
    bounds = np.vstack([
        np.hstack([one, -one]),
        np.hstack([-one, -one]),
        np.hstack([zero, zero + 1]),
        np.hstack([lead, 0 * lead]),
    ])  # fmt: skip
    right = np.concatenate([y, -y, [epsilon], np.full(classes - 1, -margin)])
    return linprog(
        np.concatenate([np.log(y), zero]),
        A_ub=bounds,
        b_ub=right,
        A_eq=np.concatenate([zero + 1, zero])[None],
        b_eq=[1.0],
        method="highs",
    )


@pytest.mark.parametrize("classes", [2, 3, 10, 50, 200])
@pytest.mark.parametrize("spread", [0.05, 1.0, 6.0, 60.0])
def test_modelguard_w_reaches_the_optimum_of_its_linear_programme(classes, spread):
    random = np.random.default_rng(classes)
    logits = torch.from_numpy(spread * random.standard_normal((3, classes)))
    probs = logits.softmax(1).clamp_min(1e-12)
    probs = probs / probs.sum(1, keepdim=True)
    for epsilon in (0.3, 1.0, 1.8):
        answers = worst_answer(probs, epsilon)
        for y, answer in zip(probs.numpy(), answers.numpy(), strict=True):
            solved = linear_programme(y, epsilon, 1e-4)
            assert solved.status == 0
            assert abs(np.log(y) @ answer - solved.fun) < 2e-3
            assert abs(answer - y).sum() <= epsilon + 1e-9 and answer.min() >= 0
            assert answer[y.argmax()] - np.delete(answer, y.argmax()).max() >= 1e-4 - 1e-9


def test_modelguard_w_moves_half_of_epsilon_from_the_top_to_the_bottom(parts):
    answer = ModelGuardW(parts["victim"], epsilon=0.4).simulate(
        IMAGE, torch.tensor([[0.7, 0.2, 0.1]])
    )
    torch.testing.assert_close(answer, torch.tensor([[0.5, 0.2, 0.3]]), rtol=0, atol=1e-5)
