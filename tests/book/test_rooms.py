"""The map in CONTRIBUTING.md is that of the imports."""

from graphlib import CycleError

import pytest
import rooms


def test_the_map_is_the_one_that_the_imports_draw():
    shown = rooms.BLOCK.search(rooms.PAGE.read_text())
    assert shown, "no block for the map"
    assert rooms.drawn(rooms.rooms()) in shown[0], (
        "run .venv/bin/python book/tools/rooms.py --write"
    )


def test_arrows_that_follow_from_others_are_left_out():
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert rooms.reduced(arrows) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_a_circle_is_no_map():
    with pytest.raises(CycleError):
        rooms.reduced({"a": {"b"}, "b": {"a"}})
