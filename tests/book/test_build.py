"""book/tools/build.py: what it says when a chapter fails."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from jupyter_cache import get_cache
from jupyter_cache.executors import utils

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def build(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("build", ROOT / "book" / "tools" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "open_cache", lambda: get_cache(tmp_path / "cache"))
    # A kernel has a minute to start, which a busy machine may not keep.
    monkeypatch.setattr(utils, "executenb", partial(utils.executenb, startup_timeout=600))
    return module


def chapter(folder: Path, cell: str) -> Path:
    path = folder / "01_chapter.md"
    path.write_text(
        "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
        "kernelspec:\n  display_name: Python 3\n  language: python\n  name: python3\n---\n\n"
        f"```{{code-cell}} ipython3\n{cell}\n```\n"
    )
    return path


@pytest.mark.parametrize("cell, fine", [("assert 1 < 2", True), ("assert 2 < 1, 'wrong'", False)])
def test_a_chapter_is_executed_and_a_failure_reported_once(build, tmp_path, capsys, cell, fine):
    path = chapter(tmp_path, cell)
    data = {"name": "myst_nb_md", "type": "plugin"}
    build.open_cache().add_nb_to_project(str(path), read_data=data)
    assert build.execute(path) is fine
    said = capsys.readouterr().err
    assert said.count("AssertionError: wrong") == (not fine)
    assert "\x1b" not in said and "nbclient" not in said


def test_finished_chapters_are_counted_with_their_seconds(build, monkeypatch, capsys):
    chapters = len(list(ROOT.glob("notebooks/[0-9][0-9]_*.md")))
    monkeypatch.setattr(build, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(build, "execute", lambda path: path.stem != "03_sensitivity")
    assert build.execute_notebooks() == ["03_sensitivity"]
    lines = [
        line for line in capsys.readouterr().out.splitlines() if " of " in line and ": 0" in line
    ]
    assert [line.split(":")[0] for line in lines] == [
        f"{n} of {chapters}" for n in range(1, chapters + 1)
    ]
    failed = [line for line in lines if "FAILED after 0 s" in line]
    assert len(failed) == 1 and "03_sensitivity" in failed[0]


@pytest.mark.parametrize("name", ["", "notebooks/nothing"])
def test_a_page_that_is_not_there_is_refused(build, capsys, name):
    assert build.build_page(name) == 2
    assert "expected a page, for example" in capsys.readouterr().err
