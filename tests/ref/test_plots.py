"""Figures for the book: what `show` writes and refuses, and the helpers' own checks."""

import re
from pathlib import Path

import numpy as np
import pytest

from queen_book import chapter as notebook
from queen_ref import plots

ROOT = Path(__file__).resolve().parents[2]

ALT = 'A line that rises from 0 to 1, called "accuracy" & drawn <thin>.'


@pytest.fixture
def line():
    return plots.figure("Accuracy", x="queries", y="accuracy").add_scatter(x=[0, 1], y=[0, 1])


def test_in_the_book_a_figure_needs_no_kernel_and_no_network(line, monkeypatch):
    monkeypatch.setenv("QUEEN_BOOK", "1")
    html = notebook.show(line, "accuracy", alt=ALT).data
    assert 'role="group"' in html and 'id="fig-accuracy"' in html
    assert "&quot;accuracy&quot; &amp; drawn &lt;thin&gt;" in html
    assert "<script src" not in html and "cdn" not in html


def test_elsewhere_plotly_shows_the_figure(line, monkeypatch):
    monkeypatch.delenv("QUEEN_BOOK", raising=False)
    shown = []
    monkeypatch.setattr(type(line), "show", lambda self: shown.append(self))
    assert notebook.show(line, "accuracy", alt=ALT) is None
    assert shown == [line]


@pytest.mark.parametrize("name", ["", "Accuracy", "a b", "a_b", "a\n"])
def test_bad_name(line, name):
    with pytest.raises(ValueError, match="expected a name"):
        notebook.show(line, name, alt=ALT)


@pytest.mark.parametrize("alt", ["", "A plot.", " " * 30])
def test_tiny_alt(line, alt):
    with pytest.raises(ValueError, match="at least 20 characters"):
        notebook.show(line, "accuracy", alt=alt)


def test_empty_figure():
    with pytest.raises(ValueError, match="no traces"):
        notebook.show(plots.figure(), "empty", alt=ALT)


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


@pytest.mark.parametrize("profile, seed", [("fast", 0), ("cpu", -1), ("cpu", 1.5), ("cpu", True)])
def test_bad_parameters(profile, seed):
    with pytest.raises(ValueError, match="expected"):
        notebook.check_parameters(profile=profile, seed=seed)


def test_running_line_says_what_and_how_long(capsys):
    notebook.running_line("smoke", 3, "04_gradient_reverse")
    text = capsys.readouterr().out
    assert "profile smoke | seed 3" in text and "torch" in text and "Measured: smoke" in text


def test_every_chapter_was_measured_in_the_profiles_without_a_gpu():
    chapters = [path.stem for path in ROOT.glob("notebooks/[0-9][0-9]_*.md")]
    for chapter in chapters:
        assert not re.search("(smoke|cpu) not measured", notebook.measured(chapter)), chapter
        text = (ROOT / "notebooks" / f"{chapter}.md").read_text()
        assert f'running_line(profile, seed, chapter="{chapter}")' in text


def test_without_recorded_times_a_chapter_still_runs(monkeypatch):
    def nothing(name):
        raise ValueError("expected recorded results")

    monkeypatch.setattr(notebook, "recorded", nothing)
    assert notebook.measured("04_gradient_reverse").count("not measured yet") == 3
