"""The README's picture shows what was recorded."""

import xml.etree.ElementTree as ET

import picture
import pytest

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def found():
    return picture.found()


def test_the_file_is_that_of_the_recorded_results():
    drawn = picture.recorded()
    assert picture.PICTURE.read_text(encoding="utf-8") == drawn, "run book/tools/picture.py --write"


def test_its_title_states_what_no_best_thief_loses_and_an_honest_client_does(found):
    title = ET.fromstring(picture.drawing(found)).find(f"{SVG}title").text
    bound = int(title.split(" point")[0].split()[-1])
    assert bound - 1 <= max(-100 * one.best.mean for one in found) < bound <= 5
    halved = min(found, key=lambda one: one.honest[picture.QUESTIONS].mean)
    assert -0.55 < halved.honest[picture.QUESTIONS].mean < -0.4
    assert halved.defense.startswith("queen")


def test_every_defence_has_three_marks_on_the_page(found):
    root = ET.fromstring(picture.drawing(found))
    for shape, place, legend, each in (("circle", "cx", 2, 2), ("rect", "x", 2, 1)):
        marks = root.findall(SVG + shape)[legend:]
        assert len(marks) == each * len(found)
        assert all(picture.LEFT <= float(mark.get(place)) <= picture.RIGHT for mark in marks)
