"""Settings that make no sense."""

import pytest

import queen_ref as qr


@pytest.mark.parametrize(
    "settings",
    [
        {"shadows": 2, "shadows_per_query": 3},
        {"shadows_per_query": 0},
        {"spacing": float("nan")},
        {"threshold": -0.1},
        {"units": "feet"},
        {"method": "fast"},
        {"others": "noise"},
        {"map_epochs": 0},
        {"shadow_accuracy": 1.5},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match="expected"):
        qr.QueenConfig(**settings)


def test_k_s_above_the_number_of_shadows_names_both():
    with pytest.raises(ValueError, match=r"k_s.*<= 2, got 3"):
        qr.QueenConfig(shadows=2, shadows_per_query=3)
