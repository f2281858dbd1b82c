"""JBDA: queries grown from a few images, along the gradients of a substitute."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from thief import POOL, Blur, victim_of
from torch import nn

import queen_ref as qr
from queen_ref.attacks.jbda import jbda_tr, targeted_pgd


@settings(max_examples=15)
@given(
    budget=st.integers(1, 70),
    seeds=st.integers(1, 30),
    eps=st.floats(0.01, 0.6),
    steps=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_every_jbda_query_is_an_image_near_a_pool_image(budget, seeds, eps, steps, seed):
    model = victim_of(3)
    pool = POOL[:30].round(decimals=1)  # pixels at the very ends of [0, 1], too
    images, answers = jbda_tr(
        Blur(model), pool, budget, lambda x, y: model, seeds, eps, steps, seed=seed
    )
    assert len(images) == len(answers) == budget
    assert 0 <= float(images.min()) and float(images.max()) <= 1
    starts = qr.attacks.random_queries(pool, min(seeds, budget), seed)
    distances = (images[:, None] - starts[None]).abs().flatten(2).amax(2)  # (budget, seeds)
    assert float(distances.amin(1).max()) <= eps + 1e-6
    torch.testing.assert_close(answers, Blur(model)(images))


def test_jbda_copies_are_moved_and_differ_from_one_another():
    model = victim_of(3)
    images, _ = jbda_tr(Blur(model), POOL, 28, lambda x, y: model, seeds=7)
    assert len(images.unique(dim=0)) == 28


def test_jbda_trains_a_new_substitute_before_each_round_on_all_answers():
    model, seen = victim_of(3), []
    jbda_tr(Blur(model), POOL, 50, lambda x, y: seen.append(len(x)) or model, seeds=3)
    assert seen == [3, 12, 48]


def test_a_step_towards_a_class_raises_its_probability():
    # Of two classes and linear: whatever raises a logit's lead raises its probability.
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    nn.init.normal_(model[1].weight, generator=torch.Generator().manual_seed(0))
    draws = torch.randint(2, (60,), generator=torch.Generator().manual_seed(3))
    moved = targeted_pgd(model, POOL, POOL, 0.01, 1, torch.Generator().manual_seed(3))
    with torch.no_grad():
        before, after = (model(x).softmax(1).gather(1, draws[:, None]) for x in (POOL, moved))
    assert bool((after > before).all())
