"""Small changes of images that were asked."""

import pytest
import torch
import torch.nn.functional as F
from thief import POOL

from queen_ref.attacks import random_queries
from queen_ref.attacks.policies import FREE
from queen_ref.attacks.used_discs import UsedDiscsPolicy, nearby


def test_seeds_are_asked_and_then_each_of_them_again_and_again():
    pool, sent = POOL.repeat(2, 1, 1, 1), []

    def ask(images):
        sent.append(images)
        return images.flatten(1)[:, :3].softmax(1)

    images, answers = UsedDiscsPolicy(noise=0.01)(ask, pool, 150, None, seed=2)
    assert torch.equal(images, torch.cat(sent)) and len(answers) == 150
    assert torch.equal(sent[0], random_queries(pool, FREE, seed=2))
    for row, copy in enumerate(sent[1]):
        distance = (copy - sent[0][row % FREE]).abs()
        assert 0 < float(distance.max()) <= 0.01 + 1e-6


def test_a_small_budget_is_all_seeds():
    images, _ = UsedDiscsPolicy()(lambda x: x.flatten(1), POOL, 20, None, seed=0)
    assert torch.equal(images, random_queries(POOL, 20, seed=0))


@pytest.mark.parametrize(("shift", "noise"), [(0, 0.0), (0, 0.05), (1, 0.05), (2, 0.0)])
def test_a_copy_is_its_image_moved_a_little(shift, noise):
    moved = nearby(POOL, torch.Generator().manual_seed(0), shift, noise)
    assert moved.shape == POOL.shape and 0 <= float(moved.min()) <= float(moved.max()) <= 1
    seen = set()
    for image, copy in zip(POOL, moved, strict=True):
        padded, places = F.pad(image, [shift] * 4), []
        for x in range(2 * shift + 1):
            for y in range(2 * shift + 1):
                cut = padded[:, y : y + 8, x : x + 8]
                if float((copy - cut).abs().max()) <= noise + 1e-6:
                    places.append((x, y))
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 1 or shift == 0
    assert torch.equal(moved, nearby(POOL, torch.Generator().manual_seed(0), shift, noise))


def test_changes_that_are_none_are_refused():
    with pytest.raises(ValueError, match="shift: expected"):
        UsedDiscsPolicy(shift=-1)
    with pytest.raises(ValueError, match="noise: expected"):
        UsedDiscsPolicy(noise=2)
