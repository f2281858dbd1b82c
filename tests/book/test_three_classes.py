"""The triangle of the defences: their maps, the widget, and the figures without a kernel."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from queen_book import three_classes as simplex
from queen_book.explorers import simplex as simplex_explorer
from queen_book.figures.defenses import plot_codebook_film
from queen_book.figures.simplex import plot_strengths
from queen_book.three_classes import STRENGTHS, TITLES, on_simplex, simplex_grid

EVERY = [(n, v) for n, s in STRENGTHS.items() for v in (s.values if s else (None,))]


@pytest.fixture(scope="module")
def widget():
    return simplex_explorer.simplex_explorer()


def parts(widget):
    """menu, strength, first, share, forget, status, picture"""
    return (*widget.children[0].children, *widget.children[1].children, *widget.children[2:])


@pytest.mark.parametrize("name, strength", EVERY)
def test_answers_stay_in_the_triangle_and_keep_their_promises(name, strength):
    y = torch.cat([simplex_grid(), torch.eye(3).double(), torch.full((1, 3), 1 / 3).double()])
    answer = on_simplex(name, strength)
    answers = answer(y)
    assert answers.shape == y.shape and answers.min() >= 0
    assert torch.allclose(answers.sum(1), torch.ones(len(y)).double(), atol=1e-6)
    defense = getattr(answer, "defense", None)
    if defense is not None and defense.l1_bound is not None:
        assert (answers - y).abs().sum(1).max() <= defense.l1_bound + 1e-6
    if defense is not None and defense.keeps_label:
        grid = slice(0, -4)  # of the points without a tie
        assert torch.equal(answers[grid].argmax(1), y[grid].argmax(1))


def test_every_defence_has_a_title_and_its_default_among_its_values():
    assert list(TITLES) == list(STRENGTHS)
    for strength in filter(None, STRENGTHS.values()):
        assert strength.default in strength.values


@given(steps=st.integers(1, 30))
def test_the_grid_has_no_ties_and_touches_no_border(steps):
    grid = simplex_grid(steps)
    assert len(grid) == (steps + 1) * (steps + 2) // 2
    assert torch.allclose(grid.sum(1), torch.ones(len(grid)).double())
    ordered = grid.sort(1).values
    assert ordered[:, 0].min() > 0 and (ordered[:, 1:] - ordered[:, :-1]).min() > 1e-6


def test_weak_shadows_take_the_label_away_and_strong_ones_leave_it():
    y = simplex_grid()
    for name in ("queen", "queen-exact"):
        weak, strong = (on_simplex(name, share)(y).argmax(1) for share in (0.15, 0.8))
        assert not (weak == y.argmax(1)).any() and torch.equal(strong, y.argmax(1))


def test_unknown_names_and_strengths_are_refused():
    with pytest.raises(ValueError, match="defense"):
        on_simplex("none")
    with pytest.raises(ValueError, match="strength"):
        on_simplex("queen", 1.5)


@pytest.mark.parametrize("name", TITLES)
def test_the_explorer_says_what_the_defence_says(widget, name):
    menu, strength, first, share, _, status, picture = parts(widget)
    menu.value, first.value, share.value = name, 0.5, 0.6
    expected = on_simplex(name)(torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64))
    if name != "modelguard-s":  # it has seen the positions on the way
        assert f"y' = ({', '.join(f'{v:.2f}' for v in expected[0].tolist())})" in status.value
    assert strength.disabled == (STRENGTHS[name] is None)
    ET.fromstring(picture.value)


@pytest.mark.parametrize("name, strength", EVERY)
def test_every_position_draws(widget, name, strength):
    menu, slider, first, share, _, _, picture = parts(widget)
    menu.value = name
    if strength is not None:
        slider.value = strength
    for a, b in ((0, 0), (0, 1), (1, 0), (1 / 3, 0.5)):
        first.value, share.value = a, b
        assert "nan" not in picture.value
        ET.fromstring(picture.value)


def test_the_codebook_fills_and_is_forgotten(widget):
    menu, strength, first, share, forget, status, picture = parts(widget)
    menu.value = "modelguard-s"
    strength.value = 0.25
    for value in np.linspace(0, 1, 11):
        first.value = float(value)
    filled = int(re.search(r"(\d+) codewords", status.value)[1])
    assert filled > 3 and picture.value.count("<rect") == filled
    forget.click()
    assert ", 1 codewords" in status.value


def test_the_picture_is_svg_that_fetches_nothing():
    svg, line = simplex_explorer.svg((0.6, 0.3, 0.1), on_simplex("top1"))
    root = ET.fromstring(svg)
    assert line in root.get("aria-label") and "background:#fff" in root.get("style")
    text = svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|href|url\(|<script|nan", text)
    assert line == "y = (0.60, 0.30, 0.10), y' = (1.00, 0.00, 0.00), L1 = 0.80, label kept"


def test_bad_posteriors_are_refused():
    for y in ((0.5, 0.5), (0.7, 0.7, -0.4)):
        with pytest.raises(ValueError, match="y"):
            simplex_explorer.svg(y, on_simplex("top1"))


def test_the_built_book_gets_no_widget(monkeypatch):
    monkeypatch.setenv("QUEEN_BOOK", "1")
    shown = simplex_explorer.show_simplex_explorer()
    assert type(shown).__name__ == "HTML" and "kernel" in shown.data
    monkeypatch.delenv("QUEEN_BOOK")
    assert type(simplex_explorer.show_simplex_explorer()).__name__ == "VBox"


def test_import_needs_neither_ipywidgets_nor_plotly():
    code = (
        "import sys; sys.modules['ipywidgets'] = sys.modules['plotly'] = None\n"
        "import queen_book.explorers.simplex, queen_book.figures.simplex"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_static_figure_has_every_defence_and_strength():
    fig = plot_strengths()
    names = {frame.name for frame in fig.frames}
    with_strength = [name for name in STRENGTHS if STRENGTHS[name]]
    assert len(names) == sum(len(STRENGTHS[name].values) for name in with_strength)
    assert [slider.visible for slider in fig.layout.sliders] == [True] + [False] * 7
    assert all(step.args[0][0] in names for slider in fig.layout.sliders for step in slider.steps)
    assert [button.label for button in fig.layout.updatemenus[0].buttons] == list(TITLES.values())
    # The menu's state of a defence is the frame of its default strength.
    frame = next(f for f in fig.frames if f.name == "mad 1")
    button = fig.layout.updatemenus[0].buttons[list(TITLES).index("mad")]
    drawn = [v for v in frame.data[0].x if v == v]
    assert np.allclose([v for v in button.args[0]["x"][0] if v is not None], drawn)
    assert len(fig.to_json()) < 2e6


def test_the_codebook_film_draws_what_modelguard_s_answers():
    y = np.random.default_rng(0).dirichlet([0.5] * 3, 60)
    orders = {"one": list(range(60)), "other": list(range(59, -1, -1))}
    fig = plot_codebook_film(y, orders, [1, 10, 60])
    for panel, order in enumerate(orders.values()):
        answer = on_simplex("modelguard-s", 1.0)
        answer(torch.tensor(y[order]))
        drawn = [len(frame.data[2 * panel + 1].x) for frame in fig.frames]
        assert drawn[0] == 1 and drawn[-1] == len(answer.defense.codebook)


def test_stand_ins_say_what_they_were_told():
    images = simplex_grid(2)[:, :, None, None]
    said = simplex.ConstantClassifier((0.5, 0.3, 0.2))(images).softmax(1)
    assert torch.allclose(said, torch.tensor([0.5, 0.3, 0.2]).double())
    lies = simplex.MisinformingClassifier()(images).softmax(1)
    assert not (lies.argmax(1) == images.flatten(1).argmax(1)).any()
