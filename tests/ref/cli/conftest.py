"""Where a command runs, and one result that was measured before."""

import pytest
from results import LINE

from queen_ref.arena import Results


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def measured(here):
    Results(here / "r.jsonl").append(LINE)
    return here / "r.jsonl"
