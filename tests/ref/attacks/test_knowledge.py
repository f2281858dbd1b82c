"""What a thief can afford."""

import pytest

from queen_ref.attacks import Sizes


@pytest.mark.parametrize(
    "size",
    [
        {"table": 1},
        {"shadow_nets": 0},
        {"recovery_epochs": 2.5},
        {"recovery_steps": 0},
        {"per_query": "many"},
        {"jbda_seeds": True},
        {"recipe": 30},
    ],
)
def test_sizes_that_are_no_counts_are_refused(size):
    with pytest.raises(ValueError, match=f"{next(iter(size))}: expected"):
        Sizes(**size)
