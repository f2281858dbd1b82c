"""The seven attacks: what each costs, what it needs, and the parts they are made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import queen_ref as qr
from queen_ref.attacks import ATTACKS, POLICIES, Attack, Knowledge, Sizes, steal
from queen_ref.attacks.bayes import posterior_mean
from queen_ref.attacks.ddae import apply, shadow_table, train_recovery
from queen_ref.attacks.dirichlet import dirichlet_table
from queen_ref.attacks.jbda import jbda_tr, targeted_pgd
from queen_ref.attacks.s4l import RotationLoss, turn
from queen_ref.attacks.smoothing import ask_smoothed
from queen_ref.attacks.stealing import KNOWS_CLEAN, MORE_QUERIES, NO_STATE
from queen_ref.checks import check_probabilities
from queen_ref.training import fit
from queen_ref.training.augmentation import augment

BUDGET = 45
POOL = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TINY = Sizes(
    epochs=2,
    batch_size=16,
    shadow_nets=2,
    shadow_epochs=1,
    table=200,
    recovery_epochs=2,
    jbda_seeds=12,
    query_batch=20,
)
COMBINATIONS = [
    (attack, policy)
    for attack in ATTACKS
    for policy in POLICIES
    if policy == "random" or attack not in ("s4l", "smoothing")
]


class Blur:
    """A stand-in defence: half of the way to the uniform answer."""

    stateful = False

    def __init__(self, victim):
        self.victim, self.simulated = victim, 0

    @torch.no_grad()
    def __call__(self, images):
        return self.simulate(images, self.victim(images).softmax(1))

    def simulate(self, images, probs):
        self.simulated += len(images)
        return (probs + 1 / probs.shape[1]) / 2

    def fresh(self):
        return self


def victim_of(num_classes):
    return qr.models.build("small_cnn", (1, 8, 8), num_classes, seed=9).eval()


def everything(victim, pool=POOL):
    """A thief who knows all that any attack could need."""
    classes = victim.num_classes
    labels = torch.arange(len(pool)) % classes
    return Knowledge(Blur(victim), labels, lambda x: qr.metrics.predict(victim, x))


def run(attack, policy, classes=3, seed=0, **changes):
    victim = victim_of(classes)
    pool = POOL if classes <= len(POOL) else POOL.repeat(2, 1, 1, 1)
    api = qr.BlackBox(Blur(victim))
    sizes = replace(TINY, **changes)
    return steal(api, pool, BUDGET, policy, attack, everything(victim, pool), sizes, seed), api


def equal(one, other):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


# Every attack ---------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 100])
@pytest.mark.parametrize(("attack", "policy"), COMBINATIONS)
def test_an_attack_sends_its_budget_and_trains_on_probabilities(attack, policy, classes):
    theft, api = run(attack, policy, classes)
    assert api.queries == theft.queries == BUDGET * (3 if attack == "smoothing" else 1)
    assert theft.images.shape == (BUDGET, 1, 8, 8)
    assert theft.answers.shape == theft.labels.shape == (BUDGET, classes)
    check_probabilities("labels", theft.labels)
    assert theft.substitute(POOL).shape == (len(POOL), classes)
    assert list(theft.seconds) == ["queries", "recovery", "training"]


@pytest.mark.parametrize(("attack", "policy"), COMBINATIONS)
def test_the_seed_decides_the_substitute(attack, policy):
    one, same, other = (run(attack, policy, seed=seed)[0].substitute for seed in (0, 0, 1))
    assert equal(one, same)
    assert not equal(one, other)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_spent_budget_is_reported_by_every_attack(attack):
    victim = victim_of(3)
    api = qr.BlackBox(Blur(victim), budget=BUDGET - 1)
    with pytest.raises(qr.BudgetExceeded):
        steal(api, POOL, BUDGET, "random", attack, everything(victim), TINY)


def test_only_the_last_training_is_watched():
    seen, victim = [], victim_of(3)
    steal(
        Blur(victim),
        POOL,
        BUDGET,
        "jbda-tr",
        sizes=TINY,
        after_epoch=lambda epoch, model: seen.append(epoch),
    )
    assert seen == [0, 1]


def test_the_flags_say_what_a_result_hides():
    assert run("naive", "random")[0].flags == []
    assert run("smoothing", "random")[0].flags == [MORE_QUERIES]
    assert run("bayes", "random")[0].flags == [KNOWS_CLEAN]
    victim = victim_of(3)
    knowledge = everything(victim)
    knowledge.defense.stateful = True
    theft = steal(Blur(victim), POOL, BUDGET, "random", "ddae", knowledge, TINY)
    assert theft.flags == [NO_STATE]


def test_recovery_and_training_combine_freely():
    theft, api = run(Attack("smoothing", "s4l"), "random")
    assert api.queries == 3 * BUDGET and not equal(
        theft.substitute, run("smoothing", "random")[0].substitute
    )


# What makes no sense --------------------------------------------------------------------

FULL = everything(victim_of(3))
OBLONG = torch.rand(60, 1, 8, 10)
REFUSED = {
    "smoothing grows no images": dict(attack="smoothing", policy="jbda-tr"),
    "nor does s4l": dict(attack="s4l", policy="jbda-tr"),
    "no such attack": dict(attack="ddos"),
    "no such policy": dict(policy="greedy"),
    "ddae without labels": dict(attack="ddae", knowledge=replace(FULL, pool_labels=None)),
    "ddae without defence": dict(attack="ddae", knowledge=replace(FULL, defense=None)),
    "labels of another pool": dict(
        attack="ddae", knowledge=replace(FULL, pool_labels=torch.zeros(3).long())
    ),
    "ddae+ without clean": dict(attack="ddae+", knowledge=replace(FULL, clean=None)),
    "bayes without clean": dict(attack="bayes", knowledge=replace(FULL, clean=None)),
    "bayes without defence": dict(attack="bayes", knowledge=replace(FULL, defense=None)),
    "bayes knows nothing": dict(attack="bayes", knowledge=None),
    "rotated oblongs": dict(attack="s4l", pool=OBLONG),
    "a pool too small": dict(budget=61),
    "no budget": dict(budget=0),
    "too few seeds": dict(policy="jbda-tr", budget=80, sizes=replace(TINY, jbda_seeds=61)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_an_unsuitable_attack_is_refused_before_any_query(case):
    def never(images):
        raise AssertionError("a query was sent")

    settings = dict(pool=POOL, budget=BUDGET, knowledge=FULL, sizes=TINY) | case
    with pytest.raises(ValueError):
        steal(never, **settings)


def test_a_pool_with_fewer_classes_than_the_victim_gives_no_shadow_nets():
    knowledge = replace(FULL, pool_labels=torch.arange(60) % 2)
    with pytest.raises(ValueError, match="at least the API's 3 classes, got 2"):
        steal(Blur(victim_of(3)), POOL, BUDGET, "random", "ddae", knowledge, TINY)


# JBDA -----------------------------------------------------------------------------------


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


# Smoothing ------------------------------------------------------------------------------


def test_smoothing_averages_three_augmented_answers():
    asked = []

    def api(images):
        asked.append(images)
        level = torch.full((len(images), 1), 0.1 * len(asked))
        return torch.cat([level, 1 - level], 1)

    answers = ask_smoothed(api, POOL[:4])
    torch.testing.assert_close(answers, torch.tensor([[0.2, 0.8]]).expand(4, 2))
    assert len(asked) == 3 and not torch.equal(asked[0], asked[1])


def test_an_augmented_image_is_a_shifted_one_and_only_colour_is_mirrored():
    draw = torch.Generator().manual_seed(0)
    grey = torch.zeros(200, 1, 8, 8)
    grey[:, :, 3, 4] = 1  # one bright pixel: it goes where the shift goes
    where = augment(grey, draw)[:, 0].flatten(1)
    assert set(where.sum(1).tolist()) == {1.0}
    places = {(int(p) // 8, int(p) % 8) for p in where.argmax(1)}
    assert places == {(row, column) for row in (2, 3, 4) for column in (3, 4, 5)}

    ramp = torch.linspace(0.1, 1, 8).expand(200, 3, 8, 8)
    mirrored = augment(ramp, draw)[:, :, 4, 2] > augment(ramp, draw)[:, :, 4, 5]
    assert 0 < int((mirrored.sum(1) == 3).sum()) < 200  # some, and all channels alike
    ramp = ramp[:, :1].contiguous()
    turned = augment(ramp, draw)
    assert bool((turned[:, 0, 4, 2] < turned[:, 0, 4, 5]).all())


# S4L ------------------------------------------------------------------------------------


def test_images_are_turned_by_their_own_number_of_quarters():
    turns = torch.arange(60) % 4
    turned = turn(POOL, turns)
    for row in range(8):
        torch.testing.assert_close(turned[row], POOL[row].rot90(row % 4, dims=(1, 2)))


def test_the_rotation_loss_is_learned_and_leaves_the_running_averages_alone():
    pool = torch.linspace(0, 1, 8).expand(64, 1, 8, 8) + 0.1 * torch.rand(64, 1, 8, 8)
    model = victim_of(3)
    rotations = RotationLoss(model.feature_dim, pool, batch_size=64, seed=0)
    before = model.body[0][1].running_mean.clone()
    first = float(rotations(model.train()).detach())
    assert torch.equal(model.body[0][1].running_mean, before)
    assert model.body[0][1].momentum == 0.1
    fit(model, POOL, torch.full((60, 3), 1 / 3), epochs=8, also=rotations)
    # 0.05 to 0.08 of the first with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert float(rotations(model.train()).detach()) < first / 2


# D-DAE and p-Bayes ----------------------------------------------------------------------


def simplex(rows, classes, seed):
    rows = np.random.default_rng(seed).dirichlet([0.5] * classes, size=rows)
    return torch.from_numpy(rows).float()


def test_the_recovery_net_undoes_a_simple_perturbation():
    clean, fresh = simplex(4000, 5, 0), simplex(500, 5, 1)

    def perturb(probs):
        return (probs + probs.roll(1, 1)) / 2

    net = train_recovery(clean, perturb(clean), epochs=30)
    before = (perturb(fresh) - fresh).abs().sum(1).mean()
    after = (apply(net, perturb(fresh)) - fresh).abs().sum(1).mean()
    # 0.13 to 0.15 with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert float(after) < 0.5 * float(before)


@pytest.mark.parametrize("present", [3, 5])
def test_shadow_nets_answer_with_the_victims_number_of_classes(present):
    knowledge = replace(everything(victim_of(3)), pool_labels=torch.arange(60) % present + 7)
    clean, perturbed = shadow_table(POOL, knowledge, 3, replace(TINY, table=100))
    assert clean.shape == (100, 3) and knowledge.defense.simulated == 100
    torch.testing.assert_close(perturbed, (clean + 1 / 3) / 2)


@pytest.mark.parametrize(("table", "rows"), [(10_000, 240), (150, 120), (2, 60)])
def test_the_dirichlet_table_lies_around_the_clean_answers(table, rows):
    center = simplex(60, 4, 0)
    center[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    knowledge = Knowledge(Blur(None), clean=lambda images: center)
    clean, perturbed = dirichlet_table(POOL, knowledge, replace(TINY, table=table, per_query=4))
    check_probabilities("clean", clean)
    assert len(clean) == len(perturbed) == rows
    assert torch.equal(clean[0], center[0])
    means = clean.reshape(-1, 60, 4).mean(0)
    assert float((means - center).abs().mean()) < 0.08  # at most 0.053 in 300 draws


def naive_posterior(answers, clean, perturbed):
    """The definition, a row at a time."""
    labels = []
    for y in answers.tolist():
        top = max(range(len(y)), key=y.__getitem__)
        near = [
            (sum(abs(a - b) for a, b in zip(row, y, strict=True)), target)
            for row, target in zip(perturbed.tolist(), clean.tolist(), strict=True)
            if max(range(len(row)), key=row.__getitem__) == top
        ]
        reach = max(0.01, min((d for d, _ in near), default=0)) + 1e-6
        found = [target for d, target in near if d <= reach] or [y]
        labels.append([sum(column) / len(found) for column in zip(*found, strict=True)])
    return torch.tensor(labels, dtype=answers.dtype)


@settings(max_examples=30)
@given(
    classes=st.integers(2, 6),
    rows=st.integers(1, 60),
    decimals=st.integers(1, 4),
    chunk=st.sampled_from([1, 50, 10_000]),
    seed=st.integers(0, 999),
)
def test_p_bayes_is_the_mean_its_definition_says(classes, rows, decimals, chunk, seed):
    clean, asked = (simplex(n, classes, seed).double() for n in (rows, 20))

    def perturb(probs):  # coarse, so that many rows coincide
        rounded = probs.round(decimals=decimals) + 1e-9
        return rounded / rounded.sum(1, keepdim=True)

    answers = perturb(asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("queen_ref.attacks.bayes.CELLS", chunk)
        labels = posterior_mean(answers, clean, perturb(clean))
    torch.testing.assert_close(labels, naive_posterior(answers, clean, perturb(clean)))
