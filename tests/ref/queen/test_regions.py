"""The regions: shared by all ledgers, and refused where they make no sense."""

import copy

import pytest
import torch
from plane import CENTERS, RADII

from queen_ref.queen.regions import Regions


def test_spacing_is_a_share_of_the_region_or_a_length():
    relative, absolute = (Regions(CENTERS, RADII, spacing=0.5, beta=2.0, units=units)
                          for units in ("relative", "absolute"))  # fmt: skip
    assert torch.equal(relative.sensitive, 2 * RADII) and torch.equal(relative.spacing, RADII)
    assert absolute.spacing.tolist() == [0.5] * 3
    assert relative.capacity.tolist() == pytest.approx([1 + 4 * 0.2 * 4] * 3)


def test_an_empty_region_holds_nothing():
    assert Regions(CENTERS, RADII * torch.tensor([1, 0, 1])).capacity[1] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"centers": CENTERS[:, :1]}, r"shape \(K, 2\)"),
        ({"radii": -RADII}, "non-negative"),
        ({"spacing": 0.0}, "spacing"),
        ({"spacing": 1e-12}, "large enough"),
        ({"units": "feet"}, "units"),
    ],
)
def test_regions_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Regions(**{"centers": CENTERS, "radii": RADII, **changes})


def test_a_copy_has_the_same_regions():
    assert torch.equal(copy.deepcopy(Regions(CENTERS, RADII)).spacing, RADII * 0.1)
