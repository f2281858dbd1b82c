"""The walk: as far as the label lasts, and no further."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from queen_ref.queen.perturbation import is_affine, walk_logits


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


def test_the_walk_for_an_affine_head_needs_no_forward(double):
    images, queen = double
    query = queen.look(images)
    args = query.features, query.logits, queen.centroids, queen.victim.head
    quick, steps = walk_logits(*args, centroid_logits=queen.centroid_logits)
    slow, same = walk_logits(*args)
    assert torch.equal(steps, same)
    torch.testing.assert_close(quick, slow, rtol=1e-4, atol=1e-4)
