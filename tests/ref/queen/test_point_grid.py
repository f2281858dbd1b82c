"""The grid against a look at every point."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plane import CENTERS, RADII, queries

from queen_ref.queen.point_grid import Cells, PointGrid, close_earlier
from queen_ref.sequential import first_come


def apart(points, labels, spacing):
    """Those of some points that a ledger could hold: farther than r from one another."""
    close = close_earlier(points, labels, spacing[labels])
    kept = first_come(close, torch.ones(len(points), dtype=torch.bool))
    return points[kept], labels[kept]


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), share=st.floats(0.02, 1.0), reach=st.floats(0.1, 1.0))
def test_it_finds_what_a_look_at_every_point_finds(seed, share, reach):
    spacing = share * RADII
    held, asked = (queries(count, seed + count, spread=0.4) for count in (300, 200))
    points, labels = apart(*held, spacing)
    grid = PointGrid(Cells(CENTERS, reach=8 * RADII, spacing=spacing))
    for part in zip(points.split(50), labels.split(50), strict=True):
        grid = grid.with_points(*part, tally=RADII)
    radius = reach * spacing[asked[1]]
    found = grid.any_within(*asked, radius)
    same = asked[1][:, None] == labels
    near = torch.hypot(*(asked[0][:, None] - points).unbind(-1)) <= radius[:, None]
    assert torch.equal(found, (same & near).any(1))


def test_a_grid_never_changes():
    grid = PointGrid(Cells(CENTERS, reach=RADII, spacing=RADII / 10))
    larger = grid.with_points(CENTERS, torch.arange(3), tally=RADII)
    assert len(grid.points) == 0 and len(larger.points) == 3
    assert not bool(grid.any_within(CENTERS, torch.arange(3), RADII / 10).any())
    assert bool(larger.any_within(CENTERS, torch.arange(3), RADII / 10).all())


def test_a_tally_stands_beside_the_classes_that_have_points():
    grid = PointGrid(Cells(CENTERS, reach=RADII, spacing=RADII / 10))
    one = grid.with_points(CENTERS[1:2], torch.tensor([1]), tally=torch.tensor([7.0, 8.0, 9.0]))
    two = one.with_points(CENTERS[:1], torch.tensor([0]), tally=torch.tensor([0.1, 0.2, 9.0]))
    assert grid.tally.tolist() == [0, 0, 0] and one.tally.tolist() == [0, 8, 0]
    assert torch.equal(two.tally, torch.tensor([0.1, 0.2, 0.0]).double())
    assert two.labels.tolist() == [0, 1] and torch.equal(two.points, CENTERS[:2])
