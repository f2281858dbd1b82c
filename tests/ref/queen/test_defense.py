"""The whole defence: what it promises its clients, its operator and its memory."""

import copy
import dataclasses

import pytest
import torch
from sklearn.datasets import load_digits

import queen_ref as qr
from queen_ref.queen.perturbation import walk_logits

EAGER = qr.QueenConfig(threshold=0.01, shadows=3, shadows_per_query=2, map_epochs=15)


@pytest.fixture(scope="module")
def setting():
    """A victim of four classes of 8x8 digits, and a QUEEN that reverses soon."""
    pixels, labels = load_digits(n_class=4, return_X_y=True)
    images = torch.from_numpy(pixels[:400]).float().reshape(-1, 1, 8, 8) / 16
    labels = torch.from_numpy(labels[:400])
    victim = qr.models.build("small_cnn", (1, 8, 8), 4, seed=0)
    qr.training.fit(victim, images, labels, epochs=3, seed=0)
    return victim, images, labels, qr.Queen.fit(victim, images, labels, EAGER, seed=0)


@pytest.fixture
def queen(setting):
    setting[3].reset()
    return setting[3]


@pytest.fixture
def images(setting):
    return setting[1]


@pytest.fixture(scope="module")
def double(setting):
    """Images and a QUEEN in double precision, where rounding moves no query over a border."""
    victim, images, labels, _ = setting
    victim, images = copy.deepcopy(victim).double(), images.double()
    return images, qr.Queen.fit(victim, images, labels, EAGER, seed=0)


def test_answers_lie_on_the_simplex_and_every_regime_occurs(queen, images):
    answers = queen(images)
    report = queen.report()
    assert report["queries"] == len(images)
    # Of 400: 221 to 246 inside, 8 to 11 recorded, 149 to 224 reversed, all without their label,
    # with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert report["inside"] >= report["recorded"] + report["reversed"]
    assert min(report["recorded"], report["reversed"]) > 0
    assert report["inside"] < len(images)
    assert bool((answers >= 0).all())
    torch.testing.assert_close(answers.sum(1), torch.ones(len(images)))


def test_a_batch_is_answered_like_the_same_queries_one_by_one(double):
    images, queen = double
    queen.reset()
    together = queen(images[:150], client="batch")
    single = torch.cat([queen(image[None], client="single") for image in images[:150]])
    assert queen.report("batch") == queen.report("single")
    assert queen.report("batch")["reversed"] > 0
    # The shadows are drawn per client, so reversed answers differ; all others agree.
    verdict = queen.new_ledger().observe(*_located(queen, images[:150]))
    rest = ~verdict.reverse
    torch.testing.assert_close(together[rest], single[rest], rtol=1e-3, atol=1e-5)


def test_one_client_batched_or_not_gets_the_same_reversed_answers(double):
    images, queen = double
    queen.reset()
    together = queen(images[:150])
    queen.reset()
    single = torch.cat([queen(image[None]) for image in images[:150]])
    torch.testing.assert_close(together, single, rtol=1e-3, atol=1e-5)


def test_the_ledger_sees_the_mapped_features(queen, images):
    expected = queen.new_ledger().observe(*_located(queen, images))
    queen(images)
    assert queen.report()["inside"] == int(expected.inside.sum())
    assert queen.report()["reversed"] == int(expected.reverse.sum())


def test_only_reversed_answers_lose_the_label(queen, images):
    labels = queen.look(images).labels
    verdict = queen.new_ledger().observe(*_located(queen, images))
    answers = queen(images)
    kept = answers.argmax(1) == labels
    assert bool(kept[~verdict.reverse].all())
    assert not bool(kept[verdict.reverse].all())


def test_untouched_others_get_the_victims_own_softmax(setting, queen, images):
    plain = queen.with_settings(others="untouched")
    verdict = plain.new_ledger().observe(*_located(queen, images))
    torch.testing.assert_close(
        plain(images)[~verdict.reverse], setting[0](images).softmax(1)[~verdict.reverse]
    )


def test_clients_do_not_see_each_other(queen, images):
    first = queen(images, client="a")
    queen(images, client="b")
    assert queen.report("a") == queen.report("b")
    queen.reset("a")
    assert queen.report("a")["queries"] == 0 and queen.report("b")["queries"] == len(images)
    torch.testing.assert_close(queen(images, client="a"), first)


def test_a_shared_ledger_is_one_for_all(queen, images):
    shared = queen.with_settings(ledgers="shared")
    shared(images, client="thief")
    shared(images, client="honest")
    assert shared.report("honest")["recorded"] == 0
    assert shared.report("honest")["queries"] == len(images)
    assert shared.ledger("honest") is shared.ledger("thief")


def test_same_client_same_image_same_state_same_answer(queen, images):
    queen(images)  # the region is covered: nothing is recorded any more
    again, third = queen(images), queen(images)
    assert torch.equal(again, third)


def test_a_report_on_a_stranger_is_zero_and_creates_nothing(queen):
    assert queen.report("nobody") == dict(queries=0, inside=0, recorded=0, reversed=0)
    assert queen.clients == {}


@pytest.mark.parametrize(
    "changes", [{"shadow_mean": "logits"}, {"method": "exact"}, {"walk_units": "relative"}]
)
def test_every_way_of_answering_stays_on_the_simplex(queen, images, changes):
    answers = queen.with_settings(**changes)(images)
    torch.testing.assert_close(answers.sum(1), torch.ones(len(images)))
    assert bool((answers >= 0).all())


def test_state_survives_save_and_load(setting, queen, images, tmp_path):
    queen(images[:100], client="a")
    queen.save(tmp_path / "queen.pt")
    again = qr.Queen.load(setting[0], tmp_path / "queen.pt")
    assert again.report("a") == queen.report("a")
    torch.testing.assert_close(again(images[100:], "a"), queen(images[100:], "a"))
    assert again.report("a") == queen.report("a")


def test_a_shared_ledger_stays_shared_after_loading(setting, queen, images):
    shared = queen.with_settings(ledgers="shared")
    shared(images, client="a")
    shared(images[:1], client="b")
    shared.load_state_dict(shared.state_dict())
    assert shared.ledger("a") is shared.ledger("b")


CORRUPTIONS = {
    "not ours": lambda s: {},
    "version": lambda s: {**s, "version": 99},
    "QueenConfig": lambda s: {**s, "config": {"speed": 3}},
    "spacing": lambda s: {**s, "config": {**s["config"], "spacing": -1.0}},
    "finite": lambda s: {**s, "centers": s["centers"] * float("nan")},
    "features": lambda s: {**s, "centroids": s["centroids"][:, :5]},
    "radii": lambda s: {**s, "radii": s["radii"][:2]},
    "widths": lambda s: {**s, "map_widths": [7, 2]},
    "weights": lambda s: {**s, "feature_map": {}},
    "shadows": lambda s: {**s, "shadows": s["shadows"][:1]},
    "shape": lambda s: {**s, "shape": "8x8"},
    "counts": lambda s: {
        **s, "clients": {"a": {"ledger": s["clients"]["a"]["ledger"], "counts": {}}}
    },
    "cqs": lambda s: {
        **s,
        "clients": {
            "a": {
                "ledger": {**s["clients"]["a"]["ledger"], "cqs": torch.zeros(1)},
                "counts": s["clients"]["a"]["counts"],
            }
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("message", CORRUPTIONS)
def test_a_corrupt_state_is_refused_and_changes_nothing(queen, images, message):
    queen(images[:50], client="a")
    before = queen.report("a")
    corrupt = CORRUPTIONS[message](queen.state_dict())
    expected = "expected a dict" if message == "not ours" else message
    with pytest.raises(ValueError, match=expected):
        queen.load_state_dict(corrupt)
    assert queen.report("a") == before


def test_a_state_is_refused_by_another_victim(queen, images, tmp_path):
    queen.save(tmp_path / "queen.pt")
    other = qr.models.build("small_cnn", tuple(images.shape[1:]), queen.victim.num_classes, seed=99)
    with pytest.raises(ValueError, match="the victim it was fitted to"):
        qr.Queen.load(other, tmp_path / "queen.pt")


@pytest.mark.parametrize("damage", ["truncated", "noise", "missing"])
def test_a_damaged_file_is_refused(setting, queen, tmp_path, damage):
    path = tmp_path / "queen.pt"
    queen.save(path)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"not a state")
    with pytest.raises(ValueError, match="state: expected"):
        qr.Queen.load(setting[0], path)


def test_a_file_that_would_run_code_is_refused(setting, tmp_path):
    class Malice:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"version": Malice()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="state: expected"):
        qr.Queen.load(setting[0], tmp_path / "evil.pt")
    assert not (tmp_path / "owned").exists()


BAD = {
    "finite": lambda x: x * float("nan"),
    "got NaN or infinity": lambda x: x + float("inf"),
    r"shape \(B, 1, 8, 8\)": lambda x: torch.zeros(2, 1, 9, 9),
    r"shape \(B, C, H, W\)": lambda x: x[0],
    "at least one image": lambda x: x[:0],
    "dtype torch.float32": lambda x: x.double(),
    "floating-point": lambda x: (x * 255).byte(),
    "a tensor on cpu": lambda x: x.to("meta"),
    "torch.Tensor": lambda x: x.numpy(),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_images_are_refused_and_nothing_is_counted(queen, images, message):
    with pytest.raises(ValueError, match=message):
        queen(BAD[message](images[:2]), client="a")
    assert queen.clients == {}


def test_a_client_without_a_name_is_refused(queen, images):
    with pytest.raises(ValueError, match="client: expected a name"):
        queen(images, client=3)


def test_a_query_that_fails_half_way_leaves_no_trace(queen, images, monkeypatch):
    queen(images[:60])
    before, points = queen.report(), queen.ledger().points[0]
    monkeypatch.setattr(queen.shadows, "forward", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        queen(images)
    assert queen.report() == before
    assert torch.equal(queen.ledger().points[0], points)


def test_exactly_k_s_shadow_forwards_per_reversed_query(queen, images, monkeypatch):
    seen = []
    for shadow in queen.shadows.models:
        shadow.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    queen(images)
    assert sum(seen) == queen.config.shadows_per_query * queen.report()["reversed"]
    assert len(seen) <= len(queen.shadows)  # each shadow runs once, on its share of the batch


def test_a_class_without_a_sample_is_refused(setting):
    victim, images, labels, _ = setting
    keep = labels != 2
    with pytest.raises(ValueError, match=r"found none of \[2\]"):
        qr.Queen.fit(victim, images[keep], labels[keep], EAGER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y + 2), r"\[0, 4\)"),
        (lambda x, y: (x, y[:-1]), "labels: expected shape"),
        (lambda x, y: (x[:0], y[:0]), "at least one image"),
        (lambda x, y: (x * float("nan"), y), "finite"),
        (lambda x, y: (x, y.float()), "integers"),
        (lambda x, y: (x.double(), y), "dtype torch.float32"),
    ],
)
def test_fit_refuses_bad_training_data(setting, change, message):
    victim, images, labels, _ = setting
    with pytest.raises(ValueError, match=message):
        qr.Queen.fit(victim, *change(images, labels), EAGER)


def test_something_that_is_no_victim_is_refused(setting):
    with pytest.raises(ValueError, match="victim: expected a method .features"):
        qr.Queen.fit(lambda x: x, *setting[1:3], EAGER)


@pytest.mark.parametrize(
    "settings",
    [
        {"shadows": 2, "shadows_per_query": 3},
        {"shadows_per_query": 0},
        {"spacing": float("nan")},
        {"threshold": -0.1},
        {"units": "feet"},
        {"method": "fast"},
        {"others": "noise"},
        {"map_epochs": 0},
        {"shadow_accuracy": 1.5},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match="expected"):
        qr.QueenConfig(**settings)


def test_k_s_above_the_number_of_shadows_names_both():
    with pytest.raises(ValueError, match=r"k_s.*<= 2, got 3"):
        qr.QueenConfig(shadows=2, shadows_per_query=3)


def test_a_setting_that_is_baked_in_needs_a_new_fit(queen):
    with pytest.raises(ValueError, match=r"got \['map_epochs'\]; fit anew"):
        queen.with_settings(threshold=0.1, map_epochs=3)


def test_fit_is_reproducible_and_leaves_the_global_generator_alone(setting):
    victim, images, labels, queen = setting
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    again = qr.Queen.fit(victim, images, labels, EAGER, seed=0)
    assert torch.equal(torch.rand(3), expected)
    torch.testing.assert_close(again.clusters.centers, queen.clusters.centers)
    for one, other in zip(again.shadows.parameters(), queen.shadows.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_victim_with_a_bent_head_walks_too(setting):
    _, images, labels, _ = setting
    victim = BentVictim(setting[0])
    config = dataclasses.replace(EAGER, threshold=1e9)
    queen = qr.Queen.fit(victim, images, labels, config, seed=0)
    assert queen.centroid_logits is None
    assert torch.equal(queen(images).argmax(1), queen.look(images).labels)


class BentVictim:
    """Not a module, and its head is not affine."""

    def __init__(self, victim):
        self.victim = victim

    def features(self, images):
        return self.victim.features(images).detach()

    def head(self, features):
        return self.victim.head(features).detach().sinh()


def test_the_walk_for_an_affine_head_needs_no_forward(double):
    images, queen = double
    query = queen.look(images)
    args = query.features, query.logits, queen.centroids, queen.victim.head
    quick, steps = walk_logits(*args, centroid_logits=queen.centroid_logits)
    slow, same = walk_logits(*args)
    assert torch.equal(steps, same)
    torch.testing.assert_close(quick, slow, rtol=1e-4, atol=1e-4)


def _located(queen, images):
    query = queen.look(images)
    return query.points, query.labels
