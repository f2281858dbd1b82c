"""A hidden answer: the same numbers in another order, and away from the label."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from queen_ref.queen.hidden import check_key, dress, false_classes, key_of, sides_of, swap


@st.composite
def answers(draw):
    """Probabilities (B, K) with no tie for the lead, the label of each, and a false class."""
    rows, classes = draw(st.integers(1, 6)), draw(st.integers(2, 12))
    drawn = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    logits = draw(st.floats(0.1, 20)) * torch.randn(rows, classes, generator=drawn).double()
    probs = logits.softmax(1)
    labels = probs.argmax(1)
    step = torch.randint(1, classes, (rows,), generator=drawn)
    return probs, labels, (labels + step) % classes


def hidings(probs, labels, others, seed=0):
    """Both forms, the dressed one with class logits of its own."""
    drawn = torch.Generator().manual_seed(seed)
    class_logits = 5 * torch.randn(probs.shape[1], probs.shape[1], generator=drawn).double()
    return {
        "swapped": swap(probs, labels, others),
        "hidden": dress(probs, probs.log(), labels, others, class_logits),
    }


@given(answers(), st.integers(0, 10_000))
def test_it_is_the_same_numbers_and_another_class_leads(given_answers, seed):
    probs, labels, others = given_answers
    for hidden in hidings(probs, labels, others, seed).values():
        assert torch.equal(hidden.sort(1).values, probs.sort(1).values)
        assert torch.equal(hidden.argmax(1), others)
        assert bool((hidden > 0).all())
    twice = swap(swap(probs, labels, others), labels, others)
    assert torch.equal(twice, probs)


def move_of(target, logits, labels, others):
    """Of the margin of the label over the false class, in a step of length one, by autograd."""
    logits = logits.clone().requires_grad_(True)
    loss = -(target * logits.log_softmax(1)).sum()
    step = -torch.autograd.grad(loss, logits)[0]
    return (step.gather(1, labels[:, None]) - step.gather(1, others[:, None]))[:, 0]


@given(answers(), st.integers(0, 10_000))
def test_a_step_on_it_moves_away_from_the_label(given_answers, seed):
    probs, labels, others = given_answers
    start = torch.randn(probs.shape, generator=torch.Generator().manual_seed(seed)).double()
    # A thief who thinks both classes alike; and one who has learned the label already.
    alike = start.scatter(1, others[:, None], start.gather(1, labels[:, None]))
    learned = alike.scatter_add(1, labels[:, None], torch.ones(len(labels), 1).double())
    honest = move_of(probs, alike, labels, others)
    for name, hidden in hidings(probs, labels, others, seed).items():
        move = move_of(hidden, alike, labels, others)
        gap = hidden.gather(1, others[:, None]) - hidden.gather(1, labels[:, None])
        torch.testing.assert_close(move, -gap[:, 0])
        assert bool((move < 0).all())
        assert bool((move_of(hidden, learned, labels, others) < move).all())
        if name == "swapped":
            torch.testing.assert_close(move, -honest)


def test_a_dressed_answer_is_ordered_as_one_about_the_false_class():
    """One row after the other: the deviation from the label's centroid, carried over."""
    drawn = torch.Generator().manual_seed(1)
    centroids = torch.randn(6, 6, generator=drawn)
    labels, others = torch.arange(5), torch.arange(1, 6)
    logits = centroids[labels] + 0.1 * torch.randn(5, 6, generator=drawn)
    dressed = dress(logits.softmax(1), logits, labels, others, centroids)
    for row, z, k, f in zip(dressed, logits, labels.tolist(), others.tolist(), strict=True):
        moved = z - centroids[k] + centroids[f]
        ranks = sorted(range(6), key=lambda j: (j != f, -float(moved[j])))
        assert row.argsort(descending=True).tolist() == ranks


CENTERS = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [5.0, 5.0]])
SIDES = torch.tensor([1.0, 0.5, 2.0, 0.0])
KEY = key_of(3)


def places(number, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (number,), generator=drawn)
    return CENTERS[labels] + 2 * torch.randn(number, 2, generator=drawn), labels


def test_a_region_has_one_false_class_and_never_the_label():
    points, labels = places(2000)
    others = false_classes(points, labels, CENTERS, SIDES, KEY)
    assert not bool((others == labels).any())
    cells = ((points - CENTERS[labels]) / SIDES[labels, None]).floor().nan_to_num(0, 0, 0)
    seen = {}
    for k, cell, f in zip(labels.tolist(), cells.tolist(), others.tolist(), strict=True):
        assert seen.setdefault((k, *(cell if k < 3 else (0, 0))), f) == f
    # No permutation, nor any other table from label to false class.
    for k in range(3):
        assert set(others[labels == k].tolist()) == set(range(4)) - {k}
    assert len(set(others[labels == 3].tolist())) == 1  # an empty region is one


def test_all_other_classes_are_drawn_alike():
    points = torch.rand(3000, 2, generator=torch.Generator().manual_seed(1)) * 1000
    others = false_classes(
        points, torch.zeros(3000).long(), torch.zeros(10, 2), torch.ones(10), KEY
    )
    counts = torch.bincount(others, minlength=10)
    assert counts[0] == 0 and 250 < int(counts[1:].min()) <= int(counts[1:].max()) < 420


def test_any_batch_says_the_same_and_another_key_something_else():
    points, labels = places(300)
    together = false_classes(points, labels, CENTERS, SIDES, KEY)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    shuffled = false_classes(points[order], labels[order], CENTERS, SIDES, KEY)
    single = [false_classes(points[i : i + 1], labels[i : i + 1], CENTERS, SIDES, KEY)
              for i in range(300)]  # fmt: skip
    assert torch.equal(shuffled, together[order]) and torch.equal(torch.cat(single), together)
    other = false_classes(points, labels, CENTERS, SIDES, key_of(4))
    assert 0.5 < float((other != together).float().mean()) < 0.8  # by chance 2 of 3


def test_with_two_classes_the_other_one_is_the_false_one():
    points, labels = torch.randn(20, 2), torch.arange(20) % 2
    others = false_classes(points, labels, CENTERS[:2], SIDES[:2], KEY)
    assert torch.equal(others, 1 - labels)


@pytest.mark.parametrize("key", [b"short", b"x" * 65, "a word", None, 7])
def test_a_key_is_16_to_64_bytes(key):
    with pytest.raises(ValueError, match="key: expected 16 to 64 bytes, got"):
        check_key(key)
    assert check_key(b"x" * 64) == b"x" * 64


def test_a_region_has_a_side():
    with pytest.raises(ValueError, match="region_side"):
        sides_of(SIDES, 0)
