"""The figure of the first page."""

from pathlib import Path

import pytest

from queen_book.figures.landing import FIRST_PAGE, NAMES, THIEVES, plot_stolen_film, rows_of
from queen_ref import arena
from queen_ref.attacks import ATTACKS
from queen_ref.defenses import DEFENSES

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results" / "arena.jsonl"


@pytest.fixture(scope="module")
def rows():
    return rows_of(arena.read(RESULTS))


def test_every_thief_of_the_first_page_met_every_defence(rows):
    met = {(row["attack"], row["defense"]) for row in rows}
    for defense in {row["defense"] for row in rows}:
        missing = {attack for attack in FIRST_PAGE if (attack, defense) not in met}
        assert missing <= {"top1"}  # the grid leaves it out, the figure takes it from elsewhere


def test_everything_in_the_arena_has_a_name():
    assert set(DEFENSES) <= set(NAMES) and set(ATTACKS) == set(THIEVES)


def test_a_frame_shows_what_was_recorded(rows):
    fig = plot_stolen_film(rows)
    frames = {frame.name: frame.data for frame in fig.frames}
    assert len(frames) == len({row["defense"] for row in rows})
    bars, line, missing = frames["ModelGuard-W"]
    assert not missing.y
    shown = dict(zip(bars.y, bars.x, strict=True))
    for row in rows:
        if row["defense"] == "modelguard-w":
            assert shown[THIEVES[row["attack"]]] == row["substitute_accuracy"]
    assert len(set(line.x)) == 1


def test_the_labels_of_a_defence_that_keeps_them_are_those_of_top1(rows):
    def bar(defense, attack):
        frame = next(f for f in plot_stolen_film(rows).frames if f.name == NAMES[defense])
        return dict(zip(frame.data[0].y, frame.data[0].x, strict=True))[THIEVES[attack]]

    assert bar("modelguard-w", "top1") == bar("mad", "top1") == bar("top1", "naive")
    assert bar("queen-strict", "top1") < bar("top1", "naive")


def test_where_there_is_no_defence_there_is_nothing_to_undo():
    rows = rows_of(arena.read(RESULTS), thieves=("naive", "ddae"))
    frame = next(f for f in plot_stolen_film(rows).frames if f.name == "no defence")
    bars, _, missing = frame.data
    empty = {y for y, x in zip(bars.y, bars.x, strict=True) if x is None}
    assert set(missing.y) == empty == {THIEVES["ddae"]}


def test_the_figure_begins_with_the_chosen_defence(rows):
    fig = plot_stolen_film(rows, first="mad")
    slider = fig.layout.sliders[0]
    assert slider.steps[slider.active].label == "MAD"
    assert fig.data[0].x == fig.frames[slider.active].data[0].x
    with pytest.raises(ValueError, match="first"):
        plot_stolen_film(rows, first="moat")


def test_one_defence_is_nothing_to_choose_from(rows):
    with pytest.raises(ValueError, match="two defences"):
        plot_stolen_film([row for row in rows if row["defense"] == "none"])
