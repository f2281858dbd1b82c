"""GRAD^2: the optimum of its linear programme, and the gains against gradients one by one."""

import copy

import numpy as np
import pytest
import torch
from blocks import Blocks, blocks

import queen_ref as qr
from queen_ref.defenses import GRAD2, GRAD2Keep
from queen_ref.defenses.grad2 import push, redirected, redirected_below


def linear_programme(y, g, epsilon, margin=None):
    """The most that <g, y'> can be, by HiGHS, with a variable for every |y'_k - y_k|."""
    from scipy.optimize import linprog

    classes, top = len(y), int(y.argmax())
    one, zero = np.eye(classes), np.zeros(classes)
    rows = [np.hstack([one, -one]), np.hstack([-one, -one]), np.hstack([zero, zero + 1])[None]]
    right = [y, -y, [epsilon]]
    if margin is not None:
        lead = np.delete(one - one[top], top, 0)
        rows.append(np.hstack([lead, 0 * lead]))
        right.append(np.full(classes - 1, -margin))
    solved = linprog(
        np.concatenate([-g, zero]),
        A_ub=np.vstack(rows),
        b_ub=np.concatenate(right),
        A_eq=np.concatenate([zero + 1, zero])[None],
        b_eq=[1.0],
        method="highs",
    )
    assert solved.status == 0
    return -solved.fun


def drawn(classes, spread, count=4):
    random = torch.Generator().manual_seed(classes)
    logits = spread * torch.randn(count, classes, generator=random).double()
    return logits.softmax(1), torch.randn(count, classes, generator=random).double()


@pytest.mark.parametrize("classes", [2, 3, 10, 50])
@pytest.mark.parametrize("spread", [0.05, 1.0, 6.0])
@pytest.mark.parametrize("keep", [False, True])
def test_the_answer_is_the_optimum_of_the_linear_programme(classes, spread, keep):
    probs, gains = drawn(classes, spread)
    for epsilon in (0.1, 0.7, 1.0, 1.8):
        answers = (redirected_below if keep else redirected)(probs, gains, epsilon)
        torch.testing.assert_close(answers.sum(1), torch.ones(len(answers)).double())
        for y, g, answer in zip(probs.numpy(), gains.numpy(), answers.numpy(), strict=True):
            best = linear_programme(y, g, epsilon, 1e-4 if keep else None)
            assert abs(g @ answer - best) < 1e-5
            assert abs(answer - y).sum() <= epsilon + 1e-9 and answer.min() >= 0
            if keep:
                top = y.argmax()
                assert answer[top] - np.delete(answer, top).max() >= 1e-4 - 1e-9


def test_the_gains_are_gradients_along_all_ones():
    model = qr.models.build("small_cnn", (1, 8, 8), 5, seed=0).double().eval()
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    weights = list(model.parameters())
    expected = [
        [
            float(sum(part.sum() for part in torch.autograd.grad(k, weights, retain_graph=True)))
            for k in model(image[None]).log_softmax(1)[0]
        ]
        for image in images
    ]
    torch.testing.assert_close(push(model, images), torch.tensor(expected).double())


def test_mass_goes_to_the_class_that_pushes_most_and_the_surrogate_stays_as_it_is():
    images, victim = blocks(8)[0], Blocks()
    surrogate = qr.models.build("small_cnn", (1, 8, 8), 4, seed=1)
    before = copy.deepcopy(surrogate.state_dict())
    defense = GRAD2(victim, surrogate=surrogate, epsilon=0.4)
    probs, answers = victim(images).softmax(1), defense(images)
    most = push(defense.surrogate, images).argmax(1)
    gained = (answers - probs).gather(1, most[:, None])
    assert bool((answers - probs).argmax(1).eq(most)[gained[:, 0] > 1e-6].all())
    torch.testing.assert_close(
        gained[:, 0], (1 - probs.gather(1, most[:, None])[:, 0]).clamp_max(0.2)
    )
    assert all(torch.equal(before[name], value) for name, value in surrogate.state_dict().items())
    assert all(weight.grad is None for weight in defense.surrogate.parameters())


def test_without_the_label_kept_a_large_budget_turns_it_and_with_it_never():
    images, victim = blocks(40)[0], Blocks()
    surrogate = qr.models.build("small_cnn", (1, 8, 8), 4, seed=1)
    labels = victim(images).argmax(1)
    free = GRAD2(victim, surrogate=surrogate, epsilon=2.0)(images)
    kept = GRAD2Keep(victim, surrogate=surrogate, epsilon=2.0)(images)
    assert torch.equal(free.argmax(1), push(surrogate.eval(), images).argmax(1))
    assert not torch.equal(free.argmax(1), labels) and torch.equal(kept.argmax(1), labels)
    away = GRAD2(victim, surrogate=surrogate, epsilon=2.0, sign=-1)(images)
    assert torch.equal(away.argmax(1), push(surrogate, images).argmin(1))


def test_the_surrogate_learns_from_the_victims_answers():
    images, _ = blocks(160)
    defense = GRAD2(Blocks(), images, seed=3)
    again = GRAD2(Blocks(), images, seed=3)
    assert torch.equal(defense(images[:9]), again(images[:9]))
    with pytest.raises(ValueError, match="surrogate: expected a model, or images"):
        GRAD2(Blocks())
    with pytest.raises(ValueError, match="epsilon"):
        GRAD2(Blocks(), images, epsilon=3.0)
    with pytest.raises(ValueError, match="sign: expected one of 1, -1"):
        GRAD2(Blocks(), images, sign=0)
