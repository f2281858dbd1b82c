"""Figures of chapter 6: what stands for what."""

import numpy as np
import pytest

from queen_book.figures import attacks


def marks(fig):
    """Row -> colour of its dots; the bars at the means left out."""
    return {dots.name: dots.marker.color for dots in fig.data if dots.marker.symbol != "line-ns"}


def test_rows_that_end_alike_share_a_colour():
    rows = {"naive, rounding": [0.5, 0.6], "naive, none": [0.9, 0.9], "top1, rounding": [0.7, 0.8]}
    colors = marks(attacks.plot_scores(rows, "accuracy (%)"))
    assert colors["naive, rounding"] == colors["top1, rounding"] != colors["naive, none"]


def test_rows_without_a_comma_have_colours_of_their_own():
    colors = marks(attacks.plot_scores({"naive": [0.5], "top1": [0.7]}, "accuracy (%)"))
    assert len(set(colors.values())) == 2


def test_errors_of_all_panels_share_a_scale():
    errors = {"rounding": {"none": [0.01], "top1": [0.04]}, "mgw": {"none": [1.0], "top1": [0.1]}}
    fig = attacks.plot_errors(errors)
    assert fig.layout.xaxis.range == fig.layout.xaxis2.range
    assert fig.layout.xaxis.range[1] == pytest.approx(1.1)


def test_the_film_has_a_frame_for_each_recovery():
    p = np.linspace(0.5, 0.999, 5)
    fig = attacks.plot_recovery_film(p, {"rounding": {"none": p.round(1), "top1": np.ones(5)}})
    assert len(fig.frames) == 2
