"""Gradient reverse: on the simplex, as good as a numerical solver, and truly opposite."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import queen_ref as qr
from queen_ref.queen.unlearning import (
    METHODS,
    angular_projection,
    nearest_in_angle,
    reversal_step,
    reversed_answer,
)


def pair(classes, seed, concentration, count=4, dtype=torch.float64):
    generator = np.random.default_rng(seed)
    y, p = (
        torch.from_numpy(generator.dirichlet([concentration] * classes, count)) for _ in range(2)
    )
    return y.to(dtype), p.to(dtype)


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a, b, dim=1)


def slsqp(target):
    """The paper's way: maximise the cosine over the simplex, numerically, from the middle."""
    size = len(target)

    def loss(s):
        return -float(s @ target) / (np.linalg.norm(s) * np.linalg.norm(target))

    return minimize(
        loss,
        np.full(size, 1 / size),
        method="SLSQP",
        bounds=[(0, 1)] * size,
        constraints={"type": "eq", "fun": lambda s: s.sum() - 1},
        options={"maxiter": 1000, "ftol": 1e-12},
    )


@settings(max_examples=80)
@given(
    classes=st.integers(2, 1000),
    seed=st.integers(0, 10_000),
    concentration=st.sampled_from([0.01, 0.1, 1.0, 20.0]),
    method=st.sampled_from(["cosine", "exact"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_answers_lie_on_the_simplex(classes, seed, concentration, method, dtype):
    y, p = pair(classes, seed, concentration, dtype=dtype)
    answer = qr.reverse_gradient(y, p, method=method)
    assert answer.shape == y.shape and answer.dtype == dtype
    assert bool((answer >= 0).all()) and bool(answer.isfinite().all())
    torch.testing.assert_close(answer.sum(1), torch.ones(len(y), dtype=dtype))


@settings(max_examples=40)
@given(
    classes=st.integers(2, 12),
    seed=st.integers(0, 10_000),
    concentration=st.sampled_from([0.3, 1.0, 5.0]),
)
def test_closed_form_is_no_worse_than_slsqp(classes, seed, concentration):
    y, p = pair(classes, seed, concentration, count=1)
    target = 2 * p - y
    ours = float(cosine(qr.reverse_gradient(y, p), target))
    assert ours >= -slsqp(target[0].numpy()).fun - 1e-9


@settings(max_examples=40)
@given(
    classes=st.integers(2, 1000),
    seed=st.integers(0, 10_000),
    concentration=st.sampled_from([0.3, 1.0, 5.0]),
)
def test_closed_form_reaches_the_bound_of_cauchy_and_schwarz(classes, seed, concentration):
    """s.t <= s.t+ <= |s||t+| for s >= 0, with t+ the positive part of the target t."""
    y, p = pair(classes, seed, concentration)
    target = 2 * p - y
    bound = target.clamp_min(0).norm(dim=1) / target.norm(dim=1)
    torch.testing.assert_close(cosine(qr.reverse_gradient(y, p), target), bound)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 8))
def test_a_target_without_positive_entry_goes_to_its_largest(seed, classes):
    target = -torch.rand(1, classes, generator=torch.Generator().manual_seed(seed)).double() - 0.01
    answer = nearest_in_angle(target)
    vertices = torch.eye(classes, dtype=torch.float64)
    best = cosine(vertices, target.expand(classes, -1)).max()
    torch.testing.assert_close(cosine(answer, target)[0], best)


@settings(max_examples=80)
@example(classes=2, seed=404, concentration=0.2)  # victim and shadow agree to nine digits
@given(
    classes=st.integers(2, 200),
    seed=st.integers(0, 10_000),
    concentration=st.sampled_from([0.2, 1.0, 20.0]),
)
def test_exact_has_logit_gradient_cosine_minus_one(classes, seed, concentration):
    y, p = pair(classes, seed, concentration)
    step = reversal_step(y, p)
    logits = p.log().requires_grad_(True)  # softmax(log p) = p: a thief who predicts p
    loss = torch.nn.functional.cross_entropy(
        logits, qr.reverse_gradient(y, p, "exact"), reduction="sum"
    )
    (gradient,) = torch.autograd.grad(loss, logits)
    # A shorter gradient drowns in rounding: softmax(log p) is p up to 1e-16.
    wide = step * (p - y).norm(dim=1) > 1e-6
    expected = -torch.ones(int(wide.sum()), dtype=torch.float64)
    torch.testing.assert_close(cosine(gradient, p - y)[wide], expected, rtol=0, atol=1e-6)


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 50))
def test_the_step_is_the_largest_that_stays_in_the_simplex(seed, classes):
    y, p = pair(classes, seed, 1.0)
    step = reversal_step(y, p)[:, None]
    assert bool(((step >= 0) & (step <= 1)).all())
    assert bool((p + step * (p - y) >= -1e-12).all())
    beyond = p + (step + 1e-3) * (p - y)
    assert bool(((beyond.amin(1) < 0) | (step[:, 0] == 1)).all())


@pytest.mark.parametrize("method", ["cosine", "exact"])
def test_a_substitute_that_already_agrees_gets_the_honest_answer(method):
    y, _ = pair(10, 0, 1.0)
    torch.testing.assert_close(qr.reverse_gradient(y, y, method), y)


@pytest.mark.parametrize("method", ["cosine", "exact"])
def test_confident_victim_and_unsure_shadow_lose_the_label(method):
    y, p = torch.tensor([[0.98, 0.01, 0.01]]), torch.tensor([[0.4, 0.3, 0.3]])
    assert int(qr.reverse_gradient(y, p, method).argmax()) != 0


UNIFORM = torch.full((2, 4), 0.25)


@pytest.mark.parametrize(
    ("y", "p", "method", "message"),
    [
        (UNIFORM, UNIFORM, "cosin", "method: expected one of"),
        (UNIFORM * float("nan"), UNIFORM, "exact", "finite"),
        (UNIFORM, UNIFORM * 2, "cosine", "simplex"),
        (UNIFORM, UNIFORM[:1], "cosine", "shape"),
        (UNIFORM, UNIFORM.double(), "cosine", "dtype"),
        (UNIFORM[:0], UNIFORM[:0], "cosine", "B >= 1"),
        (UNIFORM.long(), UNIFORM, "cosine", "floating-point"),
        (UNIFORM[:, :1] * 4, UNIFORM[:, :1] * 4, "cosine", "K >= 2"),
    ],
)
def test_bad_input_is_refused(y, p, method, message):
    with pytest.raises(ValueError, match=message):
        qr.reverse_gradient(y, p, method=method)


@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 100),
    method=st.sampled_from(METHODS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_core_without_checks_gives_the_same_answer(seed, classes, method, dtype):
    y, p = pair(classes, seed, 0.5, dtype=dtype)
    assert torch.equal(reversed_answer(y, p, method), qr.reverse_gradient(y, p, method))
    assert torch.equal(angular_projection(2 * p - y), nearest_in_angle(2 * p - y))
