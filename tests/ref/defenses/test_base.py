"""What every defence promises, for any answer of any victim."""

from functools import cache

import pytest
import torch

import queen_ref as qr
from queen_ref.defenses import DEFENSES
from queen_ref.defenses import make as make_defense

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=10)


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
