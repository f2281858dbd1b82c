"""Random crops and mirror images: every result is one that a plain crop gives."""

import pytest
import torch

from queen_ref.training.augmentation import augment


def crops(image, pad):
    """Every crop of the padded image, and its mirror image if it has colours."""
    channels, height, width = image.shape
    canvas = image.new_zeros(channels, height + 2 * pad, width + 2 * pad)
    canvas[:, pad : pad + height, pad : pad + width] = image
    cuts = [
        canvas[:, down : down + height, right : right + width]
        for down in range(2 * pad + 1)
        for right in range(2 * pad + 1)
    ]
    return cuts + ([cut.flip(2) for cut in cuts] if channels == 3 else [])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 11), (3, 16, 16)])
def test_every_image_is_one_of_its_crops_and_all_of_them_come_up(shape):
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=draw)
    possible = torch.stack(crops(image, pad=min(shape[1:]) // 8))
    moved = augment(image.expand(1000, -1, -1, -1), draw)
    equal = (moved[:, None] == possible).flatten(2).all(2)  # (1000, crops)
    assert bool(equal.any(1).all())
    assert bool(equal.any(0).all())


def test_images_move_on_their_own_and_obey_the_seed():
    images = torch.rand(1, 3, 8, 8).expand(64, -1, -1, -1)
    moved = augment(images, torch.Generator().manual_seed(5))
    assert len(moved.flatten(1).unique(dim=0)) > 8
    assert torch.equal(moved, augment(images, torch.Generator().manual_seed(5)))
