"""Shadows: when they stop, which ones look at a query, and what they say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import queen_ref as qr
from queen_ref.queen import shadows
from queen_ref.queen.shadows import ShadowEnsemble, fingerprint, train_shadow


@pytest.fixture(scope="module")
def digits():
    images, labels = qr.data.digits()
    return images[:600, :, ::2, ::2].contiguous(), labels[:600]


@pytest.fixture(scope="module")
def ensemble(digits):
    return ShadowEnsemble.fit(*digits, num_classes=10, count=6, epochs=1, seed=0)


def count_steps(model) -> list[int]:
    """The size of every batch that `model` is trained on from now on."""
    steps = []

    def count(model, inputs):
        if model.training:
            steps.append(len(inputs[0]))

    model.register_forward_pre_hook(count)
    return steps


@pytest.mark.parametrize(("stop_at", "expected"), [(0.1, 1), (0.3, 2), (0.31, 4), (0.9, 5)])
def test_a_shadow_stops_at_the_first_step_that_reaches_the_stated_accuracy(
    digits, monkeypatch, stop_at, expected
):
    grades = iter([0.1, 0.3, 0.2, 0.6, 0.9, 0.95])
    monkeypatch.setattr(shadows, "_accuracy", lambda *_: next(grades))
    shadow = qr.models.build("small_cnn", (1, 14, 14), 10, seed=0)
    steps = count_steps(shadow)
    train_shadow(shadow, *digits, stop_at=stop_at, epochs=3, batch_size=300)
    assert len(steps) == expected


def test_the_exam_is_the_accuracy_on_training_images(digits, monkeypatch):
    seen = []
    monkeypatch.setattr(shadows, "_accuracy", lambda *exam: seen.append(exam) or 1.0)
    shadow = qr.models.build("small_cnn", (1, 14, 14), 10, seed=0)
    train_shadow(shadow, *digits, epochs=1, batch_size=32)
    ((model, images, labels),) = seen
    monkeypatch.undo()
    every, asked = (
        {(image.numpy().tobytes(), int(label)) for image, label in zip(*part, strict=True)}
        for part in (digits, (images, labels))
    )
    assert model is shadow and len(images) == shadows.EXAM and asked <= every
    assert shadows._accuracy(model, images, labels) == qr.metrics.accuracy(model, images, labels)


def test_without_a_rule_a_shadow_trains_all_its_epochs(digits, monkeypatch):
    monkeypatch.setattr(shadows, "_accuracy", lambda *_: pytest.fail("examined"))
    shadow = qr.models.build("small_cnn", (1, 14, 14), 10, seed=0)
    steps = count_steps(shadow)
    train_shadow(shadow, *digits, stop_at=None, epochs=3, batch_size=32)
    assert sum(steps) == 3 * 600 and len(steps) == 3 * 19


@given(per_query=st.integers(1, 6), seed=st.integers(0, 50), client=st.text(max_size=8))
@settings(max_examples=40)
def test_every_query_gets_exactly_k_s_shadows(ensemble, per_query, seed, client):
    images = torch.rand(20, 1, 14, 14, generator=torch.Generator().manual_seed(seed))
    chosen = ensemble.choose(images, per_query, seed, client)
    assert chosen.shape == (20, 6) and bool((chosen.sum(1) == per_query).all())
    order = torch.randperm(20, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(ensemble.choose(images[order], per_query, seed, client), chosen[order])


def test_the_choice_depends_on_seed_client_and_image(ensemble, digits):
    base = ensemble.choose(digits[0], 3, 0, "a")
    assert not torch.equal(base, ensemble.choose(digits[0], 3, 1, "a"))
    assert not torch.equal(base, ensemble.choose(digits[0], 3, 0, "b"))
    assert len(base.long().unique(dim=0)) > 10


def test_every_shadow_is_drawn_about_equally_often(ensemble):
    images = torch.rand(3000, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    share = ensemble.choose(images, 3, 0, "a").float().mean(0)
    assert float((share - 0.5).abs().max()) < 0.05  # 3 of 6, five standard deviations


def test_the_mean_over_shadows_is_the_mean_of_their_softmax(ensemble, digits):
    images = digits[0][:30]
    chosen = ensemble.choose(images, 2, 0, "a")
    with torch.no_grad():
        every = torch.stack([model(images).softmax(1) for model in ensemble.models], 1)
    expected = (every * chosen[:, :, None]).sum(1) / 2
    torch.testing.assert_close(ensemble(images, chosen), expected, rtol=1e-4, atol=1e-6)


def test_more_shadows_per_query_than_there_are_is_refused(ensemble):
    with pytest.raises(ValueError, match="per_query: expected an integer >= 1 and <= 6, got 7"):
        ensemble.choose(torch.rand(1, 1, 14, 14), 7, 0, "a")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_images_that_differ_in_one_pixel_have_other_fingerprints(dtype):
    images = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    images = torch.cat([images, images])
    images[50:, 0, 3, 4] += 0.001 if dtype != torch.float16 else 0.1
    marks = fingerprint(images)
    assert len(marks.unique()) == 100
    assert torch.equal(fingerprint(images[:1]), marks[:1])
