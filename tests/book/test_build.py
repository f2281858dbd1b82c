"""book/tools/build.py: what it says while chapters run, and when one fails."""

import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import side_by_side
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


@pytest.fixture
def in_threads(monkeypatch):
    """Chapters as threads: they start at once, and a test's own function may be one."""
    monkeypatch.setattr(side_by_side, "ProcessPoolExecutor", ThreadPoolExecutor)


def test_every_chapter_begins_and_ends_with_its_number(build, in_threads, monkeypatch, capsys):
    stems = [path.stem for path in ROOT.glob("notebooks/[0-9][0-9]_*.md")]
    monkeypatch.setattr(build, "execute", lambda path: path.stem != "03_sensitivity")
    assert build.execute_notebooks() == ["03_sensitivity"]
    lines = capsys.readouterr().out.splitlines()
    for word in ("begins", "done"):
        found = [line.partition(f" {word}: ") for line in lines if f" {word}: " in line]
        numbers = [f"{n} of {len(stems)}" for n in range(1, len(stems) + 1)]
        assert [number for number, _, _ in found] == numbers
        assert sorted(rest.split(",")[0] for _, _, rest in found) == sorted(stems)
    failed = [line for line in lines if "FAILED after 0 s" in line]
    assert len(failed) == 1 and "03_sensitivity" in failed[0]


def test_a_long_wait_speaks_and_a_chapter_begins_when_another_ends(in_threads, capsys):
    seconds = {"01_slow": 0.5, "02_quick": 0, "03_last": 0}

    def task(path):
        time.sleep(seconds[path.stem])
        return True

    paths = [Path(f"{name}.md") for name in seconds]
    assert side_by_side.run_all(task, paths, at_once=2, every=0.05) == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["1 of 3 begins: 01_slow", "2 of 3 begins: 02_quick"]
    (third,) = (n for n, line in enumerate(lines) if line == "3 of 3 begins: 03_last")
    assert any(line.startswith("1 of 3 done: ") for line in lines[:third])
    assert any("of 3 done, still running: 01_slow for 0 s" in line for line in lines)


def test_a_log_hears_something_every_minute():
    assert 0 < side_by_side.EVERY < 60


@pytest.mark.parametrize("name", ["", "notebooks/nothing"])
def test_a_page_that_is_not_there_is_refused(build, capsys, name):
    assert build.build_page(name) == 2
    assert "expected a page, for example" in capsys.readouterr().err
