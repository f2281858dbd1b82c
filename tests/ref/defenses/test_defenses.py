"""The defences: what each promises, for any answer of any victim, and that each is what it says."""

import copy
import itertools
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from blocks import CLASSES, Blocks, blocks
from hypothesis import given, settings
from hypothesis import strategies as st

import queen_ref as qr
from queen_ref.defenses import DEFENSES, MAD, ModelGuardS, ModelGuardW, ReverseSigmoid, Rounding
from queen_ref.defenses import make as make_defense
from queen_ref.defenses.adaptive_misinformation import (
    AdaptiveMisinformation,
    train_misinformation,
    wrong_label_loss,
)
from queen_ref.defenses.mad import farthest_vertex
from queen_ref.defenses.modelguard_w import worst_answer
from queen_ref.defenses.outlier_exposure import outliers, train_outlier_exposed

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=10)


@pytest.fixture(scope="module")
def parts():
    """The smoke data, a victim, and what the defences are made of."""
    data = qr.data.load("smoke", seed=0)
    victim = qr.models.build("small_cnn", data.shape, 10, seed=0)
    qr.training.fit(victim, *data.train, epochs=3, seed=0)
    return {
        "data": data,
        "victim": victim.requires_grad_(False),
        "queen": qr.Queen.fit(victim, *data.train, EAGER, seed=0),
        "outlier_exposed": train_outlier_exposed(*data.train, 10, epochs=3, seed=0),
        "misinformation": train_misinformation(*data.train, 10, epochs=2, seed=0),
    }


@pytest.fixture(scope="module")
def images(parts):
    """Sure ones and unsure ones: MNIST, other digits, noise."""
    return torch.cat([pool[:25] for pool in parts["data"].pools.values()])


@pytest.fixture(scope="module")
def double(parts):
    """The parts in double precision, where rounding moves no query over a border."""
    names = ("victim", "outlier_exposed", "misinformation")
    models = {name: copy.deepcopy(parts[name]).double() for name in names}
    images, labels = (part[:300] for part in parts["data"].train)
    queen = qr.Queen.fit(models["victim"], images.double(), labels, EAGER, seed=0)
    return {**models, "queen": queen}


def make(name, parts, **changes):
    names = ("victim", "queen", "outlier_exposed", "misinformation")
    return make_defense(name, **{part: parts[part] for part in names}, **changes)


@cache
def random_parts(classes, seed=0):
    """Untrained models of K classes, with logits spread enough to disagree."""
    models = [qr.models.build("small_cnn", (1, 8, 8), classes, seed + i) for i in range(3)]
    for model in models:
        model.head.weight.data *= 20
        model.eval().requires_grad_(False)
    images = torch.rand(2 * classes, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    config = qr.QueenConfig(threshold=0.01, shadows=2, shadows_per_query=1, map_epochs=1)
    labels = torch.arange(len(images)) % classes
    queen = qr.Queen.fit(models[0], images, labels, config, seed=0)
    keys = ("victim", "outlier_exposed", "misinformation")
    return images, {**dict(zip(keys, models, strict=True)), "queen": queen}


def check_promises(defense, probs, answers):
    """On the simplex, and as near and as true to the label as promised."""
    assert answers.shape == probs.shape and answers.dtype == probs.dtype
    assert bool(answers.isfinite().all()) and float(answers.min()) >= 0
    torch.testing.assert_close(answers.sum(1), torch.ones(len(answers)))
    if defense.l1_bound is not None:
        assert float((answers - probs).abs().sum(1).max()) <= defense.l1_bound + 1e-5
    if defense.keeps_label:
        # Of two classes that the victim itself tells apart by rounding only, either will do.
        leaders = probs.topk(2, 1).values
        clear = (leaders[:, 0] - leaders[:, 1] > 1e-5) | (leaders[:, 0] == leaders[:, 1])
        assert torch.equal(answers.argmax(1)[clear], probs.argmax(1)[clear])


# Every defence ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEFENSES)
def test_every_defence_keeps_its_promises(name, parts, images):
    defense = make(name, parts)
    assert defense.name in (name, "queen") and defense.stateful == (defense.fresh() is not defense)
    probs = defense.victim(images).softmax(1)
    check_promises(defense, probs, defense(images, client="thief"))


@pytest.mark.parametrize("classes", [2, 100])
@pytest.mark.parametrize("name", DEFENSES)
def test_promises_hold_for_two_classes_and_for_a_hundred(name, classes):
    images, other = random_parts(classes)
    defense = make(name, other)
    check_promises(defense, defense.victim(images).softmax(1), defense(images))


@pytest.mark.parametrize("name", DEFENSES)
@pytest.mark.parametrize("kind", ["one-hot", "uniform", "tied", "peaked", "flat"])
def test_promises_hold_at_the_corners_of_the_simplex(name, kind, parts, images):
    count, random = len(images), torch.Generator().manual_seed(0)
    probs = {
        "one-hot": torch.eye(10)[torch.arange(count) % 10],
        "uniform": torch.full((count, 10), 0.1),
        "tied": torch.eye(10)[torch.arange(count) % 9] / 2 + torch.eye(10)[9] / 2,
        "peaked": (torch.randn(count, 10, generator=random) * 20).softmax(1),
        "flat": (torch.randn(count, 10, generator=random) / 20).softmax(1),
    }[kind]
    defense = make(name, parts)
    check_promises(defense, probs, defense.fresh().simulate(images, probs))


@pytest.mark.parametrize("name", DEFENSES)
def test_a_defence_is_the_same_again_under_its_seed(name, parts, images):
    one, two = make(name, parts, seed=3), make(name, parts, seed=3)
    assert torch.equal(one(images), two(images))


@pytest.mark.parametrize("name", DEFENSES)
def test_a_batch_is_answered_like_its_queries_one_by_one(name, double, images):
    defense, images = make(name, double), images.double()
    probs = defense.victim(images).softmax(1)
    one, other = defense.fresh(), defense.fresh()
    together = one.simulate(images, probs)
    single = [other.simulate(images[i, None], probs[i, None]) for i in range(len(images))]
    torch.testing.assert_close(together, torch.cat(single), rtol=1e-3, atol=1e-4)
    assert one.report() == other.report()


@pytest.mark.parametrize("name", DEFENSES)
def test_simulating_the_victims_own_softmax_is_asking(name, double, images):
    defense, images = make(name, double), images.double()
    asked = defense.fresh()(images)
    simulated = defense.fresh().simulate(images, defense.victim(images).softmax(1))
    torch.testing.assert_close(simulated, asked, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DEFENSES)
def test_a_fresh_defence_has_forgotten(name, parts, images):
    defense = make(name, parts)
    first = defense(images)
    assert torch.equal(defense.fresh()(images), first)


@pytest.mark.parametrize("name", DEFENSES)
def test_bad_input_is_refused_and_changes_nothing(name, parts, images):
    defense = make(name, parts)
    defense(images[:20])
    before = defense.report()
    for bad in (images[0], images[:0], images * torch.nan, images.double(), "images", images.int()):
        with pytest.raises(ValueError, match="images: expected"):
            defense(bad)
    probs = torch.full((len(images), 10), 0.1)
    for bad in (probs[:-1], probs * 2, probs * torch.nan, probs[:, :1], probs[0]):
        with pytest.raises(ValueError, match="expected"):
            defense.simulate(images, bad)
    assert defense.report() == before
    rest = make(name, parts)
    rest(images[:20])
    assert torch.equal(defense(images), rest(images))


@pytest.mark.parametrize("name", ["modelguard-s", "queen", "queen-exact"])
def test_a_stateful_defence_answers_by_what_it_remembers(name, parts):
    defense, images = make(name, parts), parts["data"].test[0]
    assert defense.stateful
    there, back = defense.fresh()(images), defense.fresh()(images.flip(0)).flip(0)
    # 20 to 140 of 333 answers with 10 seeds, AVX2 and AVX-512.
    assert bool(((there - back).abs() > 0.1).any())


@pytest.mark.parametrize(
    ("name", "message"),
    [("queens", "defense: expected one of"), ("queen", "queen"), ("am", "misinformation")],
)
def test_an_unknown_name_or_a_missing_part_is_refused(name, message, parts):
    with pytest.raises(ValueError, match=message):
        make_defense(name, parts["victim"])


# One by one ------------------------------------------------------------------------------

IMAGE = torch.zeros(1, 1, 8, 8)


def test_rounding_comes_back_to_the_simplex(parts):
    defense = Rounding(parts["victim"])
    probs = torch.tensor([[0.78, 0.18, 0.04], [0.46, 0.46, 0.08]])
    expected = torch.tensor([[0.8, 0.2, 0.0], [5 / 11, 5 / 11, 1 / 11]])
    torch.testing.assert_close(defense.simulate(IMAGE.expand(2, -1, -1, -1), probs), expected)


def test_where_all_rounds_to_zero_the_answer_is_uniform(parts):
    probs = (torch.randn(1, 100, generator=torch.Generator().manual_seed(0)) / 5).softmax(1)
    answer = Rounding(parts["victim"]).simulate(IMAGE, probs)
    torch.testing.assert_close(answer, torch.full((1, 100), 0.01))


def test_reverse_sigmoid_is_its_formula(parts):
    probs = torch.distributions.Dirichlet(torch.ones(6)).sample((50,)).double()
    moved = probs - 0.21 * (torch.sigmoid(0.2 * torch.logit(probs)) - 0.5)
    answers = ReverseSigmoid(parts["victim"]).simulate(IMAGE.expand(50, -1, -1, -1), probs)
    torch.testing.assert_close(answers, moved / moved.sum(1, keepdim=True))


@given(classes=st.integers(2, 1000), data=st.data())
def test_reverse_sigmoid_keeps_the_label_where_it_says_so(classes, data):
    victim = torch.nn.Identity()
    victim.num_classes = classes
    defense = ReverseSigmoid(victim, beta=min(0.21, 2.1 / classes))
    assert defense.keeps_label
    spread = data.draw(st.floats(0.01, 40))
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))
    probs = (spread * torch.randn(20, classes, generator=random, dtype=torch.double)).softmax(1)
    answers = defense.simulate(IMAGE.expand(20, -1, -1, -1), probs)
    assert torch.equal(answers.argmax(1), probs.argmax(1))


def gradients(proxy, images):
    """G of every image, by autograd: row k is the gradient of -log p_k in the last layer."""
    weights = list(proxy.head.parameters())
    for image in images:
        losses = -proxy(image[None]).log_softmax(1)[0]
        rows = [torch.autograd.grad(loss, weights, retain_graph=True) for loss in losses]
        yield torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


@pytest.mark.parametrize("classes", [2, 3, 6, 10])
def test_mad_finds_the_vertex_of_brute_force_over_real_gradients(classes):
    random = torch.Generator().manual_seed(classes)
    images = torch.rand(3, 1, 8, 8, generator=random).double()
    probs = (2 * torch.randn(3, classes, generator=random)).softmax(1).double()
    proxy = qr.models.build("small_cnn", (1, 8, 8), classes, seed=1).double().eval()
    with torch.no_grad():
        found = farthest_vertex(probs, proxy(images).softmax(1))
    vertices = torch.tensor([*itertools.product((0.0, 1.0), repeat=classes)]).double()
    for y, vertex, jacobian in zip(probs, found, gradients(proxy, images), strict=True):
        allowed = vertices[vertices[:, y.argmax()] > 0]
        goals, honest = F.normalize(allowed @ jacobian, dim=1), F.normalize(y @ jacobian, dim=0)
        best = allowed[(goals - honest).square().sum(1).argmax()]
        torch.testing.assert_close(vertex, best / best.sum())


def test_mad_tries_a_thousand_sets_above_ten_classes():
    random = torch.Generator().manual_seed(0)
    probs = torch.randn(5, 12, generator=random).softmax(1)
    guess = (torch.randn(5, 12, generator=random) / 5).softmax(1)
    rest = torch.tensor([*itertools.product((0.0, 1.0), repeat=11)])
    angle = lambda v: F.cosine_similarity(guess[row] - v, (guess - probs)[row], dim=-1)  # noqa: E731
    for row, vertex in enumerate(farthest_vertex(probs, guess)):
        label = int(probs[row].argmax())
        sets = torch.cat([rest[:, :label], torch.ones(len(rest), 1), rest[:, label:]], 1)
        best = angle(sets / sets.sum(1, keepdim=True)).min()
        # Greedy: near the best of all 2048, and in 1000 draws it was the best.
        assert best - 1e-5 <= angle(vertex) <= best + 0.05


def test_mads_proxy_comes_from_its_seed(parts, images):
    answers = [MAD(parts["victim"], seed=seed)(images) for seed in (0, 0, 1)]
    assert torch.equal(answers[0], answers[1]) and not torch.equal(answers[0], answers[2])


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


def sequential(probs, epsilon):
    """ModelGuard-S as its definition says, one query after the other."""
    books = {}
    for y in probs:
        book = books.setdefault(int(y.argmax()), [])
        near = [c for c in book if float((c - y).abs().sum()) <= epsilon]
        if not near:
            book.append(y)
        yield near[0] if near else y


@given(
    classes=st.integers(2, 8),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    epsilon=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40)
def test_modelguard_s_is_the_sequential_definition(classes, cuts, epsilon, seed):
    random = torch.Generator().manual_seed(seed)
    # In double precision: two that lie epsilon apart up to rounding are never drawn.
    probs = (2 * torch.randn(sum(cuts), classes, generator=random).double()).softmax(1)
    defense = ModelGuardS(torch.nn.Identity(), epsilon)
    blank = torch.zeros(sum(cuts), 1, 8, 8)
    batches = zip(blank.split(cuts), probs.split(cuts), strict=True)
    answers = torch.cat([defense.simulate(*batch) for batch in batches])
    torch.testing.assert_close(answers, torch.stack([*sequential(probs, epsilon)]))


def test_misinformation_answers_where_the_victim_is_unsure():
    victim, wrong = Blocks(), Blocks()
    wrong.head.weight.neg_()
    bright, _ = blocks(20)
    images = torch.cat([bright, 0.1 * bright])  # of which the victim is sure, and is not
    defense = AdaptiveMisinformation(victim, wrong, tau=0.7)
    probs, answers = qr.metrics.predict(victim, images), defense(images)
    assert bool((probs[:20].amax(1) > 0.75).all()) and bool((probs[20:].amax(1) < 0.65).all())
    torch.testing.assert_close(answers[:20], probs[:20])
    torch.testing.assert_close(answers[20:], qr.metrics.predict(wrong, images)[20:])


def test_the_loss_of_misinformation_is_its_formula():
    logits = 3 * torch.randn(40, 6, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(40) % 6
    wrong = 1 - logits.softmax(1)[torch.arange(40), labels]
    torch.testing.assert_close(wrong_label_loss(logits, labels), -wrong.log().mean())


def test_misinformation_is_trained_never_to_say_the_label():
    wrong = train_misinformation(*blocks(400), CLASSES, epochs=2, seed=0)
    # 0 with 10 seeds, 1 and 2 threads, AVX2 and AVX-512; chance is 0.25.
    assert qr.metrics.accuracy(wrong, *blocks(200, seed=1)) < 0.1


def test_outliers_are_the_same_pixels_elsewhere():
    images = torch.rand(5, 3, 30, 29, generator=torch.Generator().manual_seed(0))
    strange = outliers(images, seed=1)
    assert strange.shape == images.shape and not torch.equal(strange, images)
    assert torch.equal(strange[:, :, 28:], images[:, :, 28:])
    assert torch.equal(strange[..., 28:], images[..., 28:])
    torch.testing.assert_close(strange.flatten(2).sort().values, images.flatten(2).sort().values)
    assert torch.equal(strange, outliers(images, seed=1))


def test_outlier_exposure_makes_a_victim_unsure_of_outliers_and_no_worse(parts):
    images, labels = parts["data"].test
    strange = outliers(images, seed=9)
    plain, exposed = (
        qr.metrics.predict(parts[name], strange).amax(1).mean()
        for name in ("victim", "outlier_exposed")
    )
    # 0.12 to 0.15, 0.65 to 0.75, 0.90 to 0.95 with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert exposed < 0.45 and exposed < plain - 0.2
    assert qr.metrics.accuracy(parts["outlier_exposed"], images, labels) > 0.6
