"""The smaller parts: the black box, models, training, metrics, data, attacks, the walk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import queen_ref as qr
from queen_ref.attacks import ask, random_queries
from queen_ref.checks import check_probabilities
from queen_ref.data import Data, gradient_step
from queen_ref.queen.perturbation import is_affine, walk_logits
from queen_ref.training import batches

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def uniform(images):
    return torch.full((len(images), 4), 0.25)


# The black box -------------------------------------------------------------------------


def test_every_answered_image_is_counted():
    api = qr.BlackBox(uniform)
    api(IMAGES)
    api(IMAGES[:2])
    assert api.queries == 8 and api.remaining is None


def test_a_batch_past_the_budget_is_not_served_in_part():
    asked = []
    api = qr.BlackBox(lambda x: asked.append(len(x)) or uniform(x), budget=8)
    api(IMAGES)
    with pytest.raises(qr.BudgetExceeded, match="6 queries asked, 2 of 8 left"):
        api(IMAGES)
    assert asked == [6] and api.queries == 6
    assert api(IMAGES[:2]).shape == (2, 4) and api.remaining == 0


def test_a_refused_query_is_not_counted():
    def refuse(images):
        raise ValueError("images: expected something else")

    api = qr.BlackBox(refuse, budget=10)
    with pytest.raises(ValueError, match="something else"):
        api(IMAGES)
    with pytest.raises(ValueError, match="finite"):
        qr.BlackBox(uniform, budget=10)(IMAGES * float("nan"))
    assert api.queries == 0


@pytest.mark.parametrize("budget", [-1, 2.5, "many", True])
def test_a_budget_that_is_no_count_is_refused(budget):
    with pytest.raises(ValueError, match="budget: expected an integer"):
        qr.BlackBox(uniform, budget=budget)


# Models --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "resnet50", "vgg11_bn", "vgg16_bn"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 17, 40)])
def test_a_model_is_its_features_and_its_head(name, shape):
    model = qr.models.build(name, shape, 5).eval()
    images = torch.rand(2, *shape)
    with torch.no_grad():
        features = model.features(images)
        assert features.shape == (2, model.feature_dim)
        torch.testing.assert_close(model.head(features), model(images))
    assert is_affine(model.head, torch.randn(6, model.feature_dim))


def test_the_same_seed_builds_the_same_model_and_another_seed_another():
    one, same, other = (qr.models.build("small_cnn", (1, 8, 8), 3, seed=s) for s in (4, 4, 5))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 7, 8), (8, 8)])
def test_a_shape_that_no_model_takes_is_refused(shape):
    with pytest.raises(ValueError, match="shape: expected"):
        qr.models.build("small_cnn", shape, 3)


# Training ------------------------------------------------------------------------------


def test_soft_one_hot_targets_train_like_hard_labels():
    labels = torch.arange(6) % 3
    models = [qr.models.build("small_cnn", (1, 8, 8), 3) for _ in range(2)]
    hard = qr.training.fit(models[0], IMAGES, labels, epochs=2, batch_size=3)
    soft = qr.training.fit(models[1], IMAGES, torch.eye(3)[labels], epochs=2, batch_size=3)
    assert soft == pytest.approx(hard, rel=1e-4)  # two formulas, rounded in float32


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_half_precision_is_that_of_the_forward_pass_and_not_of_weights_and_loss(precision):
    model, seen = qr.models.build("small_cnn", (1, 8, 8), 3), []
    model.head.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))

    def loss(logits, labels):
        seen.append(logits.dtype)
        return torch.nn.functional.cross_entropy(logits, labels)

    labels = torch.arange(6) % 3
    qr.training.fit(model, IMAGES, labels, epochs=1, precision=precision, loss=loss)
    assert seen == [getattr(torch, precision), torch.float32]
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_a_step_in_half_precision_begins_with_nearly_the_same_loss():
    labels, losses = torch.arange(6) % 3, []
    for precision in ("float32", "bfloat16"):
        model = qr.models.build("small_cnn", (1, 8, 8), 3)
        losses += qr.training.fit(model, IMAGES, labels, epochs=1, precision=precision)
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.05)  # a number has 8 bits


def test_augmented_training_sees_other_images_and_obeys_its_seed():
    labels, losses = torch.arange(6) % 3, []
    for augment in (False, True, True):
        model = qr.models.build("small_cnn", (1, 8, 8), 3)
        losses.append(qr.training.fit(model, IMAGES, labels, epochs=2, augment=augment))
    assert losses[0] != losses[1] == losses[2]


def test_an_unknown_precision_is_refused():
    model = qr.models.build("small_cnn", (1, 8, 8), 3)
    with pytest.raises(ValueError, match="precision: expected"):
        qr.training.fit(model, IMAGES, torch.arange(6) % 3, precision="float16")


@given(count=st.integers(2, 300), size=st.integers(1, 70))
def test_an_epoch_sees_every_image_once_and_no_image_alone(count, size):
    parts = batches(count, size, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    assert size == 1 or min(map(len, parts)) > 1


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.arange(5), "labels: expected shape"),
        (torch.full((6, 3), 0.5), "simplex"),
        (torch.full((5, 2), 0.5), "expected 6 rows"),
        (torch.tensor([0, 1, 2, -1, 0, 1]), "labels: expected integers"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, message):
    model = qr.models.build("small_cnn", (1, 8, 8), 3)
    with pytest.raises(ValueError, match=message):
        qr.training.fit(model, IMAGES, targets, epochs=1)


# Metrics -------------------------------------------------------------------------------


def test_a_model_is_faithful_to_itself_and_accurate_on_its_own_labels():
    model = qr.models.build("small_cnn", (1, 8, 8), 4)
    labels = qr.metrics.predict(model, IMAGES).argmax(1)
    assert qr.metrics.fidelity(model, model, IMAGES) == 1.0
    assert qr.metrics.accuracy(model, IMAGES, labels) == 1.0
    assert qr.metrics.protected_accuracy(qr.NoDefense(model), IMAGES, labels) == 1.0
    assert qr.metrics.accuracy(model, IMAGES, (labels + 1) % 4) == 0.0


@given(seed=st.integers(0, 1000), classes=st.integers(2, 30))
def test_l1_is_a_distance_between_0_and_2(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    y, other = torch.rand(2, 5, classes, generator=generator).softmax(-1)
    assert 0 <= qr.metrics.l1_distance(y, other) <= 2
    assert qr.metrics.l1_distance(y, other) == pytest.approx(qr.metrics.l1_distance(other, y))
    assert qr.metrics.l1_distance(y, y) == 0


def test_predicting_leaves_the_model_in_the_mode_it_was_in():
    model = qr.models.build("small_cnn", (1, 8, 8), 4).train()
    qr.metrics.predict(model, IMAGES)
    assert model.training


@given(classes=st.integers(2, 1000), dtype=st.sampled_from([torch.float16, torch.float32]))
@settings(max_examples=20)
def test_a_softmax_of_any_width_counts_as_probabilities(classes, dtype):
    check_probabilities("probs", torch.randn(3, classes).softmax(1).to(dtype))


# Data ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mnist() -> Data:
    return qr.data.load("cpu", seed=0)


def test_train_test_and_pool_share_no_image(mnist):
    parts = [mnist.train[0], mnist.test[0], mnist.pools["mnist"]]
    assert [len(part) for part in parts] == [2500, 1000, 1500]
    together = torch.cat(parts).flatten(1)
    assert len(torch.unique(together, dim=0)) == len(qr.data.mnist5k()[0].flatten(1).unique(dim=0))


def test_every_image_of_a_profile_is_a_float_between_0_and_1(mnist):
    for images in (mnist.train[0], mnist.test[0], *mnist.pools.values()):
        assert images.dtype == torch.float32 and images.shape[1:] == mnist.shape
        assert 0 <= float(images.min()) and float(images.max()) <= 1


def test_a_profile_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="profile: expected one of 'smoke', 'cpu', 'gpu'"):
        qr.data.load("tpu")


def test_a_gradient_step_raises_the_loss_and_stays_within_eps():
    # The loss of a linear model is convex: no step along its gradient can lower it.
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))
    labels = torch.arange(6) % 4
    moved = gradient_step(model, IMAGES, labels, eps=0.05)
    assert float((moved - IMAGES).abs().max()) <= 0.05 + 1e-6
    loss = [torch.nn.functional.cross_entropy(model(x), labels) for x in (IMAGES, moved)]
    assert loss[1] > loss[0]


@pytest.mark.parametrize("arguments", [(0, "cpu"), ("cpu", None), (["cpu"], 0), ("cpu", -1)])
def test_load_refuses_arguments_that_make_no_sense(arguments):
    with pytest.raises(ValueError, match="expected"):
        qr.data.load(*arguments)


def test_a_limit_cuts_every_part_and_the_repr_counts_them():
    data = qr.data.load("smoke", limit=100)
    assert repr(data) == (
        "Data(MNIST-5k, (1, 28, 28), train 100, test 100, pools: mnist 100, digits 100, noise 100)"
    )


def test_missing_data_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("QUEEN_DATA", raising=False)
    with pytest.raises(ValueError, match="QUEEN_DATA"):
        qr.data.load("gpu")
    monkeypatch.setenv("QUEEN_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"cifar10: expected .*found no such folder; .*--download"):
        qr.data.load("gpu")


# Attacks -------------------------------------------------------------------------------


@given(budget=st.integers(1, 50), more=st.integers(0, 50), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_a_larger_budget_extends_the_smaller(budget, more, seed):
    pool = torch.arange(100.0)[:, None, None, None].expand(100, 1, 8, 8)
    small = random_queries(pool, budget, seed)[:, 0, 0, 0]
    large = random_queries(pool, budget + more, seed)[:, 0, 0, 0]
    assert torch.equal(large[:budget], small) and len(large.unique()) == len(large)


def test_a_budget_larger_than_the_pool_is_refused():
    with pytest.raises(ValueError, match="at most the pool's 6 images, got 7"):
        random_queries(IMAGES, 7)


def test_knockoff_spends_its_budget_and_no_more():
    api = qr.BlackBox(uniform, budget=5)
    substitute = qr.attacks.knockoff(api, IMAGES, budget=5, query_batch=2, epochs=1, seed=0)
    assert api.queries == 5 and substitute.num_classes == 4


def test_the_same_seed_steals_the_same_substitute():
    one, same = (qr.attacks.knockoff(uniform, IMAGES, 6, epochs=2, seed=3) for _ in range(2))
    torch.testing.assert_close(one.state_dict(), same.state_dict())


def test_answers_come_back_in_the_order_of_the_queries():
    answers = ask(lambda x: x.flatten(1)[:, :2].softmax(1), IMAGES, query_batch=4)
    torch.testing.assert_close(answers, IMAGES.flatten(1)[:, :2].softmax(1))


# The walk ------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 40),
    scale=st.sampled_from([0.1, 5.0]),
    units=st.sampled_from(["absolute", "relative"]),
)
@settings(max_examples=60)
def test_the_walk_keeps_the_label_and_stops_just_before_it_would_change(
    seed, classes, scale, units
):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(20, 8, generator=generator).double() * scale
    centroids = torch.randn(classes, 8, generator=generator).double()
    weights = torch.randn(8, classes, generator=generator).double()
    logits, steps = walk_logits(
        features, features @ weights, centroids, lambda f: f @ weights, centroids @ weights, units
    )
    labels = (features @ weights).argmax(1)
    assert torch.equal(logits.argmax(1), labels)

    # The same walk, one sample and one step at a time.
    for row, start in enumerate(features):
        way = centroids[(start - centroids).norm(dim=1).argmax()] - start
        step = 0.05 * (way / way.norm() if units == "absolute" else way)
        taken = 0
        while taken < 20 and int(((start + (taken + 1) * step) @ weights).argmax()) == labels[row]:
            taken += 1
        assert int(steps[row]) == taken
        torch.testing.assert_close(logits[row], (start + taken * step) @ weights)


def test_a_bent_head_is_not_taken_for_an_affine_one():
    assert not is_affine(lambda f: f**2, torch.randn(5, 3))
