"""What every defence promises, for any answer of any victim."""

import copy
from functools import cache

import pytest
import torch
from blocks import Blocks, blocks

import queen_ref as qr
from queen_ref.defenses import DEFENSES, Defense
from queen_ref.defenses import make as make_defense

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=10)


def make(name, parts, **changes):
    names = ("victim", "queen", "outlier_exposed", "misinformation", "images", "labels")
    return make_defense(name, **{part: parts[part] for part in names}, **changes)


@cache
def random_parts(classes, seed=0):
    """Untrained models of K classes, with logits spread enough to disagree."""
    models = [qr.models.build("small_cnn", (1, 8, 8), classes, seed + i) for i in range(3)]
    for model in models:
        model.head.weight.data *= 20
        model.eval().requires_grad_(False)
    count = max(40, 2 * classes)  # enough of a class that some images lie inside
    images = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    config = qr.QueenConfig(threshold=0.01, shadows=2, shadows_per_query=1, map_epochs=1)
    labels = torch.arange(len(images)) % classes
    held_out = torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(seed + 1))
    queen = qr.Queen.fit(models[0], images, labels, config, seed=0, held_out=held_out)
    keys = ("victim", "outlier_exposed", "misinformation")
    parts = {**dict(zip(keys, models, strict=True)), "images": images, "labels": labels}
    return images, {**parts, "queen": queen}


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
    assert defense.name in (name, "queen", "queen-exact", "queen-hidden", "queen-abstain")
    assert defense.stateful == (defense.fresh() is not defense)
    probs = defense.victim(images).softmax(1).detach()
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


def trained_state(defense):
    """A copy of everything that a forward in train mode would change."""
    return [
        {name: value.clone() for name, value in model.state_dict().items()}
        for model in (*defense._models(), getattr(defense, "shadows", None))
        if isinstance(model, torch.nn.Module)
    ]


@pytest.mark.parametrize("name", DEFENSES)
def test_no_defence_answers_in_train_mode_and_every_flag_is_put_back(name, parts, images):
    parts = {**parts, **{k: copy.deepcopy(parts[k]) for k in ("outlier_exposed", "misinformation")}}
    parts["victim"] = victim = copy.deepcopy(parts["victim"])
    if name.startswith("queen"):
        parts["queen"] = qr.Queen.from_state(victim, parts["queen"].state_dict())
    defense = make(name, parts)
    expected = make(name, parts)(images)
    before, models = trained_state(defense), defense._models()
    for model in models:
        model.train()
        [*model.modules()][-1].eval()
    modes = [[part.training for part in model.modules()] for model in models]
    assert torch.equal(defense(images), expected)
    defense.fresh().simulate(images, expected)
    assert [[part.training for part in model.modules()] for model in models] == modes
    # MAD has made its proxy meanwhile: it stands behind the victim.
    for one, other in zip(trained_state(defense), before, strict=name != "mad"):
        assert all(torch.equal(one[key], other[key]) for key in one)


class Badly(Blocks):
    def __init__(self, answer):
        super().__init__()
        self.reply = answer

    def forward(self, images):
        return self.reply(super().forward(images))


@pytest.mark.parametrize("name", ["none", "rounding", "mad", "modelguard-s"])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda logits: logits.softmax(1), "got probabilities"),
        (lambda logits: logits[:, :1], "K >= 2"),
        (lambda logits: (logits, logits), "got tuple"),
        (lambda logits: logits[:-1], r"logits \(4, K\)"),
    ],
)
def test_a_victim_that_answers_no_logits_is_refused_at_the_first_answer(name, answer, message):
    defense = make_defense(name, Badly(answer))
    with pytest.raises(ValueError, match=message):
        defense(blocks(4)[0])


@pytest.mark.parametrize("name", ["none", "rounding", "mad", "modelguard-s"])
def test_log_probabilities_and_a_parallel_victim_are_answered_alike(name):
    images, expected = blocks(4)[0], make_defense(name, Blocks())(blocks(4)[0])
    logs = make_defense(name, Badly(lambda logits: logits.log_softmax(1)))
    torch.testing.assert_close(logs(images), expected)
    if not torch.cuda.is_available():
        parallel = make_defense(name, torch.nn.DataParallel(Blocks()))
        assert torch.equal(parallel(images), expected)


def test_logits_that_overflow_are_refused():
    defense = qr.NoDefense(Badly(lambda logits: logits * 1e38 * 1e38))
    with pytest.raises(ValueError, match="expected finite numbers"):
        defense(blocks(4)[0])


def test_a_victim_is_tried_once_and_with_no_forward_of_its_own():
    asked = []
    defense = qr.NoDefense(Badly(lambda logits: asked.append(len(logits)) or logits))
    defense(blocks(4)[0])
    defense(blocks(2)[0])
    assert asked == [4, 2]


SIMPLE = ["none", "top1", "rounding", "reverse-sigmoid", "mad", "modelguard-w", "modelguard-s"]


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_victim_in_half_precision_is_defended_in_single(name, dtype):
    images = blocks(6)[0].to(dtype)
    answers = make_defense(name, Blocks().to(dtype))(images)
    assert answers.dtype == torch.float32
    torch.testing.assert_close(answers.sum(1), torch.ones(6))


@pytest.mark.parametrize("name", [*SIMPLE, "am", "queen", "queen-exact"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_simulation_may_come_in_another_precision_than_the_victims(name, dtype, parts, images):
    defense = make(name, parts)
    probs = defense.victim(images).softmax(1)
    defense(images)
    other = defense.simulate(images, probs.to(dtype))
    assert other.dtype == dtype and bool(other.isfinite().all())
    if name in ("mad", "am", "modelguard-s"):
        assert defense.simulate(images.to(dtype), probs.to(dtype)).dtype == dtype


def test_autocast_inside_a_victim_is_defended_in_single():
    class Cast(Blocks):
        def features(self, images):
            with torch.autocast("cpu", torch.bfloat16):
                return super().features(images).bfloat16()

        def forward(self, images):
            with torch.autocast("cpu", torch.bfloat16):
                return self.head(self.features(images))

    config = qr.QueenConfig(map_epochs=1, shadows=1, shadows_per_query=1, shadow_epochs=1)
    images, labels = blocks(40)
    for defense in (
        make_defense("modelguard-s", Cast()),
        make_defense("mad", Cast()),
        qr.Queen.fit(Cast(), images, labels, config),
    ):
        answers = defense(images)
        assert answers.dtype == torch.float32
        assert torch.equal(answers.argmax(1), labels)


def test_images_outside_0_and_1_are_refused_by_every_door(parts, images):
    for name in DEFENSES:
        defense = make(name, parts)
        for bad in (images * 255, (images - 0.5) / 0.25):
            with pytest.raises(ValueError, match=r"numbers in \[0, 1\]"):
                defense(bad)


class Own(Defense):
    """A reader's defence that answers `reply(probs)`."""

    name = "own"

    def __init__(self, reply, **promises):
        super().__init__(Blocks())
        self.reply = reply
        vars(self).update(promises)

    def answer(self, images, probs):
        return self.reply(probs)


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize(
    ("reply", "promises", "message"),
    [
        (lambda probs: None, {}, r"own: expected answers \(40, 4\), got NoneType"),
        (lambda probs: probs.numpy(), {}, "own: expected answers .* got ndarray"),
        (lambda probs: probs[:, :3], {}, r"own: expected answers \(40, 4\), got \(40, 3\)"),
        (lambda probs: probs.argmax(1), {}, r"got \(40,\)"),
        (lambda probs: probs.log(), {}, "own: answers: expected rows on the probability simplex"),
        (lambda probs: probs * torch.nan, {}, "own: answers: expected finite"),
        (lambda probs: probs.flip(1), {"keeps_label": True}, "keeps_label, .* in 40 of 40"),
        (lambda probs: probs.flip(1), {"l1_bound": 0.5}, "promised l1_bound 0.5, but an answer"),
    ],
)
def test_a_first_answer_that_is_none_or_breaks_a_promise_is_one_line(
    reply, promises, message, stateful
):
    with pytest.raises(ValueError, match=message) as told:
        Own(reply, stateful=stateful, **promises)(blocks(40)[0])
    assert "\n" not in str(told.value)


def test_what_keeps_its_promise_by_a_rounding_goes_through():
    tied = torch.full((40, 4), 0.25)
    Own(lambda probs: tied, keeps_label=True, l1_bound=2.0)(blocks(40)[0])
    probs = Own(lambda probs: probs.double(), keeps_label=True, l1_bound=0.0)(blocks(40)[0])
    assert probs.dtype == torch.float64
