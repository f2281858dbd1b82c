"""Rename: another reading of the substitute, chosen on images of the thief's own."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from blocks import CLASSES, Blocks, blocks
from hypothesis import given
from hypothesis import strategies as st
from thief import TINY, equal, victim_of
from torch import nn

import queen_ref as qr
from queen_ref.attacks import Attack, Knowledge, steal
from queen_ref.attacks.rename import Rename, best_reading, names, read_by
from queen_ref.training import Recipe

SIZES = replace(TINY, recipe=Recipe(epochs=4, batch_size=16, lr=0.1))


@given(classes=st.integers(2, 5), rows=st.integers(1, 40), seed=st.integers(0, 999))
def test_the_matching_is_the_best_of_all_permutations(classes, rows, seed):
    said, labels = torch.randint(
        classes, (2, rows), generator=torch.Generator().manual_seed(seed)
    ).unbind()

    def score(order):
        hits = sum(order[c] == s for s, c in zip(said.tolist(), labels.tolist(), strict=True))
        return hits, sum(k == name for k, name in enumerate(order))  # then: most names left alone

    found = tuple(names(said, labels, classes).tolist())
    assert score(found) == max(map(score, permutations(range(classes))))


def test_classes_called_by_another_name_are_renamed():
    labels = torch.arange(40) % 4
    called = torch.tensor([2, 0, 3, 1])
    probs = (torch.eye(4)[called[labels]] + 0.1) / 1.4
    matrix = best_reading(probs, labels)
    assert torch.equal((probs @ matrix.T).argmax(1), labels)


def test_an_answer_that_only_avoids_the_truth_is_turned_upside_down():
    labels, turn = torch.arange(40) % 4, torch.arange(40) // 4
    probs = 1 - torch.eye(4)[labels]  # never the truth, each of the others in turn
    probs += torch.eye(4)[(labels + 1 + turn % 3) % 4]
    probs /= probs.sum(1, keepdim=True)
    assert torch.equal(best_reading(probs, labels), -torch.eye(4))


def test_a_substitute_that_is_right_stays_as_it_is():
    assert best_reading(torch.eye(3)[[0, 1, 2, 0]], torch.tensor([0, 1, 2, 0])) is None


def test_a_permutation_is_not_judged_by_the_images_it_was_made_for():
    # One image of each class: all can be matched, and none of it says anything about another.
    labels = torch.arange(20)
    said = (labels + 7) % 20
    assert torch.equal(names(said, labels, 20)[labels], said)
    probs = torch.eye(20)[said] + torch.eye(20)[(labels + 1) % 20] * 0.1 + 0.01
    probs[labels, (labels + 3) % 20] = 0
    assert best_reading(probs / probs.sum(1, keepdim=True), labels) is None


def test_a_rule_that_renames_the_classes_is_undone_by_the_whole_attack():
    images, labels = blocks(160)
    victim = Blocks()

    def rolled(x):
        return victim(x).softmax(1).roll(1, dims=1)

    def stolen(attack):
        return steal(rolled, images, 100, "random", attack, Knowledge(pool_labels=labels), SIZES)

    naive, renamed = stolen("naive"), stolen("rename")
    assert torch.equal(naive.labels, renamed.labels) and renamed.queries == 100
    wanted = naive.substitute(images).roll(-1, dims=1)
    torch.testing.assert_close(renamed.substitute(images), wanted)
    assert set(renamed.substitute.state_dict()) == set(naive.substitute.state_dict())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("deep", [True, False])
def test_a_copy_is_read_by_a_matrix_and_the_substitute_stays(bias, deep):
    model = victim_of(3)
    model.head = nn.Linear(model.feature_dim, 3, bias=bias)
    if deep:
        model.head = nn.Sequential(model.head)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images, matrix = torch.rand(5, 1, 8, 8), torch.rand(3, 3)
    torch.testing.assert_close(read_by(model, matrix)(images), model(images) @ matrix.T)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert equal(read_by(model, torch.eye(3)), read_by(model, torch.eye(3)))


def test_labels_that_the_api_has_not_are_refused_before_any_query():
    images, labels = blocks(80)
    api = qr.BlackBox(qr.NoDefense(Blocks()))
    for wrong, word in ((labels + 1, "labels"), (None, "pool_labels")):
        with pytest.raises(ValueError, match=word):
            steal(api, images, 40, "random", "rename", Knowledge(pool_labels=wrong), TINY)
    assert api.queries == 0
    with pytest.raises(ValueError, match="own"):
        Rename(own=1)
    assert Attack(Rename(own=20)).needs == ("pool_labels",) and CLASSES == 4
