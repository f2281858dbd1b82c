"""Honest clients: a hand-set victim in front of a memory whose cost can be counted."""

import pytest
import torch
from blocks import Blocks, blocks

import queen_ref as qr
from queen_ref.arena.honest import CHANGES, CLIENTS, FEW, QUESTIONS, honest_accuracy
from queen_ref.defenses import Defense

IMAGES, LABELS = blocks(40)


class Tired(Defense):
    """Honest for the first `patience` answers of a client, then the next class."""

    name, stateful = "tired", True

    def __init__(self, victim, patience):
        super().__init__(victim)
        self.patience, self.given = patience, 0

    def answer(self, images, probs):
        turned = self.given + torch.arange(len(probs)) >= self.patience
        self.given += len(probs)
        return torch.where(turned[:, None], probs.roll(1, 1), probs)

    def fresh(self):
        return Tired(self.victim, self.patience)


def test_the_more_a_client_asks_the_less_he_keeps():
    kept = honest_accuracy(Tired(Blocks(), 45), IMAGES, LABELS, (5, 4, 3, 2, 1))
    expected = {"10": 1.0, "30": 1.0, "100": 0.45, "300": 0.15, "1000": 0.045}
    assert kept == pytest.approx(expected)


def test_every_client_is_a_fresh_one_and_the_defence_itself_is_left_alone():
    tired = Tired(Blocks(), 10)
    tired.given = 10_000  # worn out already
    assert honest_accuracy(tired, IMAGES, LABELS, (7,))["10"] == 1.0
    assert tired.given == 10_000


def test_a_defence_without_a_memory_has_one_number():
    labels = LABELS.clone()
    labels[:10] = (labels[:10] + 1) % 4
    kept = honest_accuracy(qr.NoDefense(Blocks()), IMAGES, labels)
    assert kept == {str(n): 0.75 for n in QUESTIONS}


def test_no_image_comes_twice_before_all_have_come():
    seen = []

    class Watching(Tired):
        def answer(self, images, probs):
            seen.append(images)
            return probs

        def fresh(self):
            return Watching(self.victim, 0)

    honest_accuracy(Watching(Blocks(), 0), IMAGES, LABELS, (1, 1, 1))
    asked = torch.cat(seen)
    assert len(asked) == 100
    for part in (asked[:40], asked[40:80]):
        assert len(part.flatten(1).unique(dim=0)) == 40
    assert not torch.equal(asked[:40], asked[40:80])


def test_what_they_ask_is_the_seeds():
    labels = LABELS.clone()
    labels[::3] = (labels[::3] + 1) % 4

    def kept(seed):
        return honest_accuracy(Tired(Blocks(), 100), IMAGES, labels, (3, 2), seed)

    assert kept(0) == kept(0) != kept(1)


def test_few_questions_are_asked_by_many_clients():
    for clients in (CLIENTS, FEW):
        assert list(clients) == sorted(clients, reverse=True)
    answers = [n * many for n, many in zip(QUESTIONS, CLIENTS, strict=True)]
    assert min(answers) >= 2000
    with pytest.raises(ValueError, match="clients: expected up to 7 falling counts"):
        honest_accuracy(qr.NoDefense(Blocks()), IMAGES, LABELS, (1, 2))


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 16, 40)])
def test_a_changed_image_is_another_image_of_the_same_kind(name, shape):
    images = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    changed = CHANGES[name](images)
    assert changed.shape == images.shape and changed.dtype == images.dtype
    assert 0 <= float(changed.min()) and float(changed.max()) <= 1
    assert torch.equal(images, before) and not torch.equal(changed, images)


def test_a_shift_goes_down_and_to_the_right_and_a_turn_leaves_the_middle():
    image = torch.zeros(1, 1, 32, 32)
    image[..., 10, 20] = 1
    assert CHANGES["shifted"](image)[0, 0].nonzero().tolist() == [[14, 24]]
    disc = torch.zeros(1, 1, 32, 40)
    disc[..., 14:18, 18:22] = 1
    turned = CHANGES["rotated"](disc)
    assert float(turned[..., 15:17, 19:21].min()) > 0.99
    assert float(turned.sum()) == pytest.approx(float(disc.sum()), rel=0.05)
    # A bar along the longer side stays a bar: what it weighs below the middle left, it weighs
    # above the middle right.
    bar = torch.zeros(1, 1, 32, 40)
    bar[..., 15:17, :] = 1
    turned = CHANGES["rotated"](bar)[0, 0]
    assert torch.allclose(turned, turned.flip(0, 1), atol=1e-5) and float(turned[15, 0]) < 0.1
