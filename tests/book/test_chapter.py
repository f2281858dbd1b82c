"""What a chapter begins with and how it shows a figure: what is written, what is refused."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from queen_book import chapter as notebook
from queen_ref import plots

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.md"))
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


@pytest.mark.parametrize("profile, seed", [("fast", 0), ("cpu", -1), ("cpu", 1.5), ("cpu", True)])
def test_bad_parameters(profile, seed):
    with pytest.raises(ValueError, match="expected"):
        notebook.check_parameters(profile=profile, seed=seed)


def in_a_notebook(monkeypatch, *cells):
    shell = SimpleNamespace(user_ns={"In": ["", *cells]})
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)


@pytest.mark.parametrize("line", ["profil = 'smoke'", "Profile = 'smoke'", "seed = 1\nlimits = 3"])
def test_a_parameter_that_no_cell_has_is_refused(monkeypatch, line):
    in_a_notebook(monkeypatch, "profile = 'cpu'\nseed = 0\nlimit = 0", "# Parameters\n" + line)
    with pytest.raises(ValueError, match="among limit, profile, seed; got (p|P|limits)"):
        notebook.check_parameters(profile="cpu", seed=0)


@pytest.mark.parametrize(
    "cells",
    [
        ["profile = 'cpu'\nseed = 0", "# Parameters\nprofile = 'smoke'\n"],
        ["profile = 'cpu'\nseed = 0", "import queen_ref"],
        ["# Parameters of mine, by hand\nprofile = 'cpu'\nseed = 0"],
        [],
    ],
    ids=["papermill", "by hand", "a comment", "nothing"],
)
def test_parameters_that_the_notebook_has_are_taken(monkeypatch, cells):
    in_a_notebook(monkeypatch, *cells)
    notebook.check_parameters(profile="smoke", seed=0)


def test_running_line_says_what_and_how_long(capsys):
    notebook.running_line("smoke", 3, "04_gradient_reverse")
    text = capsys.readouterr().out
    assert "profile smoke | seed 3" in text and "torch" in text and "Measured: smoke" in text


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_was_measured_in_the_profiles_without_a_gpu(path):
    missing = re.search("(smoke|cpu) not measured", notebook.measured(path.stem))
    assert not missing, "run make times"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_head_of_a_chapter_has_its_own_name(path):
    """Times and claims are looked up by it, and a head is copied from another chapter."""
    text = path.read_text()
    assert re.findall(r'running_line\(profile, seed, chapter="(\w+)"', text) == [path.stem]
    assert re.findall(r'claims\.Claims\("(\w+)", profile\)', text) in ([path.stem], [])


def test_without_recorded_times_a_chapter_still_runs(monkeypatch):
    def nothing(name):
        raise ValueError("expected recorded results")

    monkeypatch.setattr(notebook, "recorded", nothing)
    assert notebook.measured("04_gradient_reverse").count("not measured yet") == 3
