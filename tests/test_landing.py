"""The figure of the first page."""

from pathlib import Path

import pytest

from queen_ref import arena
from queen_ref.attacks import ATTACKS
from queen_ref.defenses import DEFENSES
from queen_ref.figures.landing import NAMES, THIEVES, stolen_film

RESULTS = Path(__file__).parent.parent / "book" / "results" / "arena.jsonl"


@pytest.fixture(scope="module")
def rows():
    return [row for row in arena.summarise(arena.read(RESULTS)) if row["policy"] == "random"]


def test_everything_in_the_arena_has_a_name():
    assert set(DEFENSES) <= set(NAMES) and set(ATTACKS) == set(THIEVES)


def test_a_frame_shows_what_was_recorded(rows):
    fig = stolen_film(rows)
    frames = {frame.name: frame.data for frame in fig.frames}
    assert len(frames) == len({row["defense"] for row in rows})
    bars, line = frames["ModelGuard-W"]
    for row in rows:
        if row["defense"] == "modelguard-w":
            place = list(bars.y).index(THIEVES[row["attack"]])
            assert bars.x[place] == row["substitute_accuracy"]
    assert len(set(line.x)) == 1


def test_one_defence_is_nothing_to_choose_from(rows):
    with pytest.raises(ValueError, match="two defences"):
        stolen_film([row for row in rows if row["defense"] == "none"])
