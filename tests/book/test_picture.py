"""The README's picture shows what was recorded."""

import xml.etree.ElementTree as ET

import picture
import pytest

from queen_ref.arena import read, summarise


@pytest.fixture(scope="module")
def rows():
    return [r for r in summarise(read(picture.RESULTS)) if r["policy"] == "random"]


def test_the_file_is_that_of_the_recorded_results():
    drawn = picture.recorded()
    assert picture.PICTURE.read_text(encoding="utf-8") == drawn, "run book/tools/picture.py --write"


def test_its_title_states_a_share_that_every_defence_lets_through(rows):
    root = ET.fromstring(picture.drawing(rows))
    title = root.find("{http://www.w3.org/2000/svg}title").text
    share = int(title.split(" %")[0].split()[-1]) / 100
    best = {}
    for row in rows:
        best[row["defense"]] = max(best.get(row["defense"], 0), row["substitute_accuracy"])
    assert 0.9 < share <= min(best.values()) < share + 0.01


def test_every_defence_has_two_dots_on_the_page(rows):
    root = ET.fromstring(picture.drawing(rows))
    dots = root.findall("{http://www.w3.org/2000/svg}circle")
    names = {row["defense"] for row in rows}
    assert len(dots) == 2 + 2 * len(names)
    assert all(picture.LEFT <= float(dot.get("cx")) <= picture.RIGHT for dot in dots[2:])
