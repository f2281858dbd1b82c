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


def test_an_augmented_image_is_a_shifted_one_and_only_colour_is_mirrored():
    draw = torch.Generator().manual_seed(0)
    grey = torch.zeros(200, 1, 8, 8)
    grey[:, :, 3, 4] = 1  # one bright pixel: it goes where the shift goes
    where = augment(grey, draw)[:, 0].flatten(1)
    assert set(where.sum(1).tolist()) == {1.0}
    places = {(int(p) // 8, int(p) % 8) for p in where.argmax(1)}
    assert places == {(row, column) for row in (2, 3, 4) for column in (3, 4, 5)}

    ramp = torch.linspace(0.1, 1, 8).expand(200, 3, 8, 8)
    mirrored = augment(ramp, draw)[:, :, 4, 2] > augment(ramp, draw)[:, :, 4, 5]
    assert 0 < int((mirrored.sum(1) == 3).sum()) < 200  # some, and all channels alike
    ramp = ramp[:, :1].contiguous()
    turned = augment(ramp, draw)
    assert bool((turned[:, 0, 4, 2] < turned[:, 0, 4, 5]).all())
