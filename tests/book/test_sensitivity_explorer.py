"""The explorer of chapter 3: the widget, its picture, and the figure that needs no kernel."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from queen_book.explorers import sensitivity as explorer
from queen_book.figures.fates import DEFAULTS, FATES, SETTINGS, query_fates
from queen_book.figures.ledger import plot_ledger_film, plot_settings
from queen_ref import SensitivityLedger
from queen_ref.queen.features import Clusters

K = 10


@pytest.fixture(scope="module")
def client():
    """1000 queries around ten centers, as mapped points, labels and clusters."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.arange(K) * 2 * torch.pi / K
    clusters = Clusters(torch.stack([angle.cos(), angle.sin()], 1), torch.linspace(0.01, 0.3, K))
    labels = torch.randint(K, (1000,), generator=generator)
    noise = torch.randn(1000, 2, generator=generator) * 0.8
    points = clusters.centers[labels] + noise * clusters.radii[labels, None]
    return points, labels, clusters


def sliders_of(widget) -> dict:
    return {child.description: child for row in widget.children[:2] for child in row.children}


def counts(client, **settings) -> list[int]:
    points, labels, clusters = client
    verdict = SensitivityLedger(clusters.centers, clusters.radii, **settings).observe(
        points, labels
    )
    kinds = (
        ~verdict.inside,
        verdict.inside & ~verdict.novel,
        verdict.recorded,
        verdict.reverse,
    )
    return [int(kind.sum()) for kind in kinds]


def test_fates_are_the_ledgers_verdicts(client):
    settings = {"spacing": 0.15, "threshold": 0.05, "alpha": 2.0, "beta": 1.2}
    fates, _ = query_fates(*client, **settings)
    assert np.bincount(fates, minlength=4).tolist() == counts(client, **settings)
    assert counts(client, **settings)[3] > 0, "nothing is reversed: the test shows little"


@pytest.mark.parametrize(
    "description, setting, value",
    [("r_k / s_k", "spacing", 0.3), ("threshold", "threshold", 0.02), ("beta", "beta", 0.5)],
)
def test_a_slider_redraws_with_a_fresh_ledger(client, description, setting, value):
    widget = explorer.sensitivity_explorer(*client)
    before = widget.children[-1].value
    sliders_of(widget)[description].value = value
    assert widget.children[-1].value != before
    for name, count in zip(FATES, counts(client, **{setting: value}), strict=True):
        assert f"{name} {count / 10:.1f} %" in widget.children[-2].value
    sliders_of(widget)[description].value = DEFAULTS[setting]
    assert widget.children[-1].value == before, "an earlier position left something behind"


def test_alpha_moves_the_first_reversal(client):
    widget = explorer.sensitivity_explorer(*client)
    before = widget.children[-1].value
    sliders_of(widget)["alpha"].value = 4.0
    assert widget.children[-1].value != before


def test_every_end_of_every_slider_draws(client):
    widget = explorer.sensitivity_explorer(*client)
    for slider in sliders_of(widget).values():
        home = slider.value
        for value in (slider.min, slider.max, home):
            slider.value = value
            assert ET.fromstring(widget.children[-1].value).tag.endswith("svg")


def test_the_picture_is_svg_that_fetches_nothing(client):
    svg, found = explorer.svg(*client, threshold=0.02)
    root = ET.fromstring(svg)
    assert root.get("aria-label") and "background:#fff" in root.get("style")
    assert list(found.values()) == counts(client, threshold=0.02)
    text = svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|href|url\(|<script|nan", text)


def test_a_redraw_is_one_pass_and_no_element_a_query(client, monkeypatch):
    """What makes it quick on any machine: the rest is a few strings."""
    points, labels, clusters = client
    passes, observe = [], SensitivityLedger.observe

    def count(ledger, points, labels):
        passes.append(len(points))
        return observe(ledger, points, labels)

    monkeypatch.setattr(SensitivityLedger, "observe", count)
    svg, _ = explorer.svg(points.repeat(3, 1), labels.repeat(3), clusters)
    assert passes == [3000]
    assert len(list(ET.fromstring(svg).iter())) < 200  # ten panels of up to twenty


def test_bad_input_is_refused(client):
    points, labels, clusters = client
    with pytest.raises(ValueError, match="labels"):
        explorer.sensitivity_explorer(points, labels + K, clusters)
    with pytest.raises(ValueError, match="points"):
        explorer.svg(points[:, :1], labels, clusters)


def test_the_built_book_gets_no_widget(client, monkeypatch):
    monkeypatch.setenv("QUEEN_BOOK", "1")
    shown = explorer.show_sensitivity_explorer(*client)
    assert type(shown).__name__ == "HTML" and "kernel" in shown.data
    monkeypatch.delenv("QUEEN_BOOK")
    assert type(explorer.show_sensitivity_explorer(*client)).__name__ == "VBox"


def test_import_needs_neither_ipywidgets_nor_plotly():
    code = (
        "import sys; sys.modules['ipywidgets'] = sys.modules['plotly'] = None\n"
        "sys.modules['umap'] = None\n"
        "import queen_book.explorers.sensitivity, queen_book.figures.ledger"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_static_explorer_has_a_slider_for_each_setting(client):
    fig = plot_settings(*client, watched=9)
    names = {frame.name for frame in fig.frames}
    assert [slider.visible for slider in fig.layout.sliders] == [True, False, False, False]
    for slider, (setting, values) in zip(fig.layout.sliders, SETTINGS.items(), strict=True):
        assert {step.args[0][0] for step in slider.steps} <= names
        assert values[slider.active] == DEFAULTS[setting]
        bars = next(f for f in fig.frames if f.name == f"{setting} {values[-1]:g}").data[-1]
        expected = [count / 10 for count in counts(client, **{setting: values[-1]})]
        assert np.allclose(bars.y, expected, atol=0.01)
    assert len(fig.to_json()) < 2e6


def test_the_film_ends_where_the_ledger_does(client):
    points, labels, clusters = client
    fig = plot_ledger_film(points, labels, clusters, watched=9, frames=20)
    ledger = SensitivityLedger(clusters.centers, clusters.radii)
    ledger.observe(points, labels)
    assert len(fig.frames) == 20
    assert np.allclose(fig.frames[-1].data[-1].y, ledger.cqs, atol=1e-4)
    drawn = next(trace for trace in fig.frames[-1].data if trace.name == "recorded")
    assert len(drawn.x) == int(ledger.recorded[9])
    assert len(fig.to_json()) < 2e6
