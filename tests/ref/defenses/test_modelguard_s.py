"""ModelGuard-S: its definition, one query after the other."""

import copy
import pickle

import pytest
import torch
from hurry import at_once
from hypothesis import given, settings
from hypothesis import strategies as st

from queen_ref.defenses import ModelGuardS, modelguard_s
from queen_ref.sequential import first_come


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


class Varied(torch.nn.Module):
    """Its logits are the first pixels, times ten."""

    def forward(self, images):
        return 10 * images.flatten(1)[:, :4]


def test_one_codebook_for_eight_threads_is_that_of_one():
    images = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    defense = ModelGuardS(Varied(), epsilon=0.2)
    answers = torch.cat(at_once(lambda x: defense(x), images.split(1)))
    book = defense.codebook
    # In whatever order they came: no two entries of a class within reach, every answer an entry.
    assert int(defense._close(book, book).sum()) == len(book) == defense.report()["codewords"]
    assert bool((torch.cdist(answers, book, p=1).min(1).values == 0).all())
    probs = Varied()(images).softmax(1)
    assert bool(((answers - probs).abs().sum(1) <= 0.2 + 1e-5).all())


def test_a_long_batch_is_answered_in_pieces_like_its_queries_one_by_one():
    images = torch.rand(1300, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    whole, parts = (ModelGuardS(Varied(), epsilon=0.3) for _ in range(2))
    together = whole(images)
    torch.testing.assert_close(together, torch.cat([parts(x) for x in images.split(7)]))
    torch.testing.assert_close(whole.codebook, parts.codebook)


def test_a_batch_that_fails_half_way_leaves_the_codebook(monkeypatch):
    images = torch.rand(1300, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    defense = ModelGuardS(Varied(), epsilon=0.3)
    defense(images[:10])
    before, calls = defense.codebook, []

    def fails_later(*args, **kwargs):
        calls.append(1)
        return first_come(*args, **kwargs) if len(calls) < 2 else 1 / 0

    monkeypatch.setattr(modelguard_s, "first_come", fails_later)
    with pytest.raises(ZeroDivisionError):
        defense(images)
    assert defense.codebook is before


def test_it_can_be_copied_and_sent():
    defense = ModelGuardS(Varied())
    defense(torch.rand(5, 1, 8, 8))
    for other in (copy.deepcopy(defense), pickle.loads(pickle.dumps(defense))):
        other(torch.rand(50, 1, 8, 8))
        assert torch.equal(other.codebook[: len(defense.codebook)], defense.codebook)
