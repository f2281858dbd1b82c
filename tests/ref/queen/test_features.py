"""Features, class means, the map to the plane and its clusters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import queen_ref as qr
from queen_ref.queen.features import (
    class_means,
    contrastive_loss,
    extract_features,
    find_clusters,
    fit_feature_map,
    map_widths,
)


def clouds(classes=4, each=40, width=16, seed=0):
    """Well separated Gaussian clouds in R^width."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(each)
    means = 4 * torch.randn(classes, width, generator=generator)
    return means[labels] + torch.randn(len(labels), width, generator=generator), labels


def reference_supcon(z, labels, temperature, normalize):
    """The supervised contrastive loss, summed by hand."""
    if normalize:
        z = z / z.norm(dim=1, keepdim=True)
    terms = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        if positives:
            logits = (z[others] @ z[i]) / temperature
            log_sum = torch.logsumexp(logits, 0)
            terms.append(
                -sum((z[p] @ z[i]) / temperature - log_sum for p in positives) / len(positives)
            )
    return sum(terms) / len(terms)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_librarys_loss_is_the_equation_of_the_chapter(normalize):
    z = torch.randn(12, 2, generator=torch.Generator().manual_seed(1)).double()
    labels = torch.tensor([0, 1, 2] * 4)
    loss = contrastive_loss(0.07, normalize)(z, labels)
    torch.testing.assert_close(loss, reference_supcon(z, labels, 0.07, normalize))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 1, 2, 3]])
def test_the_loss_is_finite_with_singleton_classes(normalize, labels):
    z = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = contrastive_loss(0.07, normalize)(z, torch.tensor(labels))
    loss.backward()
    assert bool(loss.isfinite()) and bool(z.grad.isfinite().all())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((512, 4, 4), [512, 128, 32, 8, 2]),
        ((2048, 5, 4), [2048, 512, 128, 32, 8, 2]),
        ((512,), [512, 128, 32, 8, 2]),
        ((2048,), [2048, 512, 128, 32, 8, 2]),
        ((128,), [128, 32, 8, 2]),
        ((2,), [2, 2]),
    ],
)
def test_the_map_has_the_papers_widths(arguments, expected):
    assert map_widths(*arguments) == expected


@given(width=st.integers(1, 5000), step=st.integers(2, 8))
def test_the_map_always_ends_in_the_plane(width, step):
    widths = map_widths(width, step_down=step)
    assert widths[0] == width and widths[-1] == 2 and min(widths[1:]) >= 2


def test_a_trained_map_separates_classes_it_has_not_been_told_apart():
    features, labels = clouds()
    feature_map, losses = fit_feature_map(features, labels, epochs=40, batch_size=80, seed=0)
    clusters = find_clusters(feature_map(features), labels, 4)
    nearest = torch.cdist(feature_map(features), clusters.centers).argmin(1)
    assert losses[-1] < losses[0]
    # 1.0 with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert float((nearest == labels).float().mean()) > 0.9


def test_the_map_is_reproducible_from_its_seed():
    features, labels = clouds()
    one, same = (fit_feature_map(features, labels, epochs=3, seed=5)[0] for _ in range(2))
    torch.testing.assert_close(one.state_dict(), same.state_dict())


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), classes=st.integers(1, 6))
def test_centers_and_radii_are_the_plain_means(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat(
        [torch.arange(classes), torch.randint(0, classes, (20,), generator=generator)]
    )
    points = torch.randn(len(labels), 2, generator=generator)
    clusters = find_clusters(points, labels, classes)
    for k in range(classes):
        own = points[labels == k]
        torch.testing.assert_close(clusters.centers[k], own.mean(0))
        expected = (own - own.mean(0)).norm(dim=1).mean()
        torch.testing.assert_close(clusters.radii[k], expected, atol=1e-5, rtol=1e-4)


def test_an_empty_class_has_no_mean_and_is_named():
    with pytest.raises(ValueError, match=r"none of \[1, 3\]"):
        class_means(torch.randn(3, 2), torch.tensor([0, 2, 2]), 4)


def test_features_in_batches_are_the_features_at_once():
    model = qr.models.build("small_cnn", (1, 8, 8), 3).train()
    images = torch.rand(10, 1, 8, 8)
    parts = extract_features(model, images, batch_size=3)
    assert model.training  # put back as it was
    with torch.no_grad():
        torch.testing.assert_close(parts, model.eval().features(images))
