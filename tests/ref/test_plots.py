"""The palette and the helpers that figures share."""

import numpy as np
import pytest

from queen_ref import plots


@pytest.fixture
def line():
    return plots.figure("Accuracy", x="queries", y="accuracy").add_scatter(x=[0, 1], y=[0, 1])


def test_the_palette_has_ten_colours_and_markers():
    assert len(set(plots.CLASS_COLORS)) == len(set(plots.CLASS_SYMBOLS)) == 10


def test_one_trace_a_class():
    fig = plots.scatter_classes(plots.figure(), np.zeros((4, 2)), np.array([3, 3, 9, 0]))
    assert [trace.name for trace in fig.data] == ["class 0", "class 3", "class 9"]


@pytest.mark.parametrize(
    "points, labels",
    [(np.zeros((3, 3)), np.zeros(3)), (np.zeros((3, 2)), np.zeros(2)), (np.zeros(2), np.zeros(2))],
)
def test_shapes_that_do_not_fit(points, labels):
    with pytest.raises(ValueError, match="expected points"):
        plots.scatter_classes(plots.figure(), points, labels.astype(int))


@pytest.mark.parametrize("label", [-1, 10])
def test_a_label_without_a_colour(label):
    with pytest.raises(ValueError, match="from 0 to 9"):
        plots.scatter_classes(plots.figure(), np.zeros((1, 2)), np.array([label]))


def test_a_disc_is_a_circle():
    trace = plots.add_disc(plots.figure(), np.array([1.0, 2.0]), 0.5).data[0]
    np.testing.assert_allclose(np.hypot(trace.x - 1, trace.y - 2), 0.5)


@pytest.mark.parametrize("center, radius", [(np.zeros(3), 1.0), (np.zeros(2), 0.0)])
def test_bad_disc(center, radius):
    with pytest.raises(ValueError, match="radius positive"):
        plots.add_disc(plots.figure(), center, radius)


@pytest.mark.parametrize("labels", [["a"], ["a", "a"]])
def test_bad_slider(line, labels):
    with pytest.raises(ValueError, match="one label for each"):
        plots.add_slider(line, [[], []], labels)
