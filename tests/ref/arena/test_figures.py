"""Figures of the arena: they hold every cell, and refuse what does not belong together."""

from dataclasses import replace

import pytest
from results import CELL, line

from queen_ref.arena import summarise
from queen_ref.arena.figures import plot_heat_map, plot_pareto, plot_sweep


def test_the_figures_hold_every_cell_and_every_defence():
    cells = [
        replace(CELL, attack=attack, defense=defense)
        for attack in ("naive", "s4l")
        for defense in ("none", "rounding", "queen")
    ]
    rows = summarise([line(cell, substitute_accuracy=0.1 * n) for n, cell in enumerate(cells)])
    drawn = plot_heat_map(rows).data[0]
    assert list(drawn.x) == ["none", "rounding", "queen"] and list(drawn.y) == ["naive", "s4l"]
    assert drawn.z[1] == pytest.approx((0.3, 0.4, 0.5))
    named = [trace.name for trace in plot_pareto(rows).data if trace.showlegend is not False]
    assert named == ["Pareto front", "none", "rounding", "queen"]
    with pytest.raises(ValueError, match="several"):
        plot_heat_map(rows + rows)


def test_a_sweep_is_drawn_one_panel_a_setting():
    def varied(name, value, accuracy):
        measures = {"substitute_accuracy": accuracy, "protected_accuracy_after": 0.9}
        return {"queen": {name: value}, **measures}

    lines = [varied("threshold", 0.1, a) for a in (0.4, 0.6)]
    lines += [varied("threshold", 0.01, 0.2), varied("spacing", 0.1, 0.3)]
    fig = plot_sweep(lines)
    thief = fig.data[0]
    assert list(thief.x) == [0.01, 0.1] and list(thief.y) == pytest.approx([0.2, 0.5])
    assert list(thief.error_y.array) == pytest.approx([0.0, 0.1])
    assert [fig.layout.xaxis.title.text, fig.layout.xaxis2.title.text] == ["threshold", "spacing"]
    with pytest.raises(ValueError, match="one varied setting"):
        plot_sweep([{"queen": {}}])


@pytest.mark.parametrize("plot", [plot_heat_map, plot_pareto, plot_sweep])
def test_nothing_is_not_drawn(plot):
    with pytest.raises(ValueError, match="at least one"):
        plot([])
