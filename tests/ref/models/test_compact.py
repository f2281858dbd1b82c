"""Networks for small photographs: their widths, their weights, and what a block adds."""

import pytest
import torch

import queen_ref as qr
from queen_ref.models.compact import Residual


def weights(name: str) -> int:
    model = qr.models.build(name, (3, 32, 32), 10)
    return sum(weight.numel() for weight in model.parameters())


def test_a_width_twice_as_large_has_about_four_times_the_convolutions():
    narrow, wide = (qr.models.build(f"cnn3_w{width}", (3, 32, 32), 10) for width in (16, 32))
    assert narrow.feature_dim == wide.feature_dim == 128
    sizes = [[w.numel() for w in model.parameters() if w.dim() == 4] for model in (narrow, wide)]
    assert sizes[1][0] == 2 * sizes[0][0]  # from three colours
    assert sizes[1][1:] == [4 * size for size in sizes[0][1:]]


def test_resnet8_has_as_many_weights_as_it_says():
    assert weights("resnet8") == 78_042 < weights("cnn3_w16") < weights("cnn3_w32")


@pytest.mark.parametrize(("outputs", "stride"), [(4, 1), (4, 2), (6, 1), (6, 2)])
def test_a_block_whose_second_layer_says_nothing_passes_on_what_goes_around_it(outputs, stride):
    block = Residual(4, outputs, stride).eval()
    torch.nn.init.zeros_(block.second[1].weight)
    maps = torch.rand(2, 4, 8, 8)
    assert torch.equal(block(maps), block.short(maps).relu())
    assert isinstance(block.short, torch.nn.Identity) == (outputs == 4 and stride == 1)
