"""Trained parts, and one measured cell, that several files look at."""

from dataclasses import replace
from pathlib import Path

import pytest
from results import CELL

from queen_ref.arena import Cache, run_cell


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="session")
def queen_line(parts) -> dict:
    return run_cell(replace(CELL, defense="queen", attack="ddae"), Cache(parts))
