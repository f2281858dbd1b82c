"""`make sync`: the file that changed wins, and where both did, neither is touched."""

import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from pairs import TEXT, check_pair

ROOT = Path(__file__).resolve().parents[2]
SYNC = [sys.executable, ROOT / "book" / "tools" / "sync.py"]


def git(folder: Path, *words: str) -> None:
    me = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *me, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def pair(tmp_path):
    """Both files of a chapter, in line and committed."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # it has jupytext's settings
    text = tmp_path / "00_x.md"
    text.write_text(TEXT)
    jupytext.write(jupytext.read(text), text.with_suffix(".ipynb"))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "both")
    return text, text.with_suffix(".ipynb")


def edit(path: Path, word: str) -> None:
    path.write_text(path.read_text().replace("# Title", f"# {word}"))


def run(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([*SYNC, folder], capture_output=True, text=True)


@pytest.mark.parametrize("which", [0, 1])
def test_the_file_that_changed_wins_even_if_it_is_the_older_one(pair, which):
    edit(pair[which], "Other")
    pair[1 - which].touch()
    assert run(pair[0].parent).returncode == 0
    check_pair(pair[0])
    assert all("# Other" in path.read_text() for path in pair)


@pytest.mark.parametrize("which", [0, 1])
def test_a_change_that_was_committed_alone_is_not_taken_back(pair, which, monkeypatch):
    edit(pair[which], "Other")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "@4000000000 +0000")
    git(pair[0].parent, "commit", "-qam", "one of them")
    pair[1 - which].touch()
    assert run(pair[0].parent).returncode == 0
    assert all("# Other" in path.read_text() for path in pair)


def test_where_both_changed_one_line_says_so_and_nothing_is_lost(pair):
    for path, word in zip(pair, ("Mine", "Yours"), strict=True):
        edit(path, word)
    before = [path.read_bytes() for path in pair]
    done = run(pair[0].parent)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "00_x" in done.stderr and "both changed" in done.stderr
    assert [path.read_bytes() for path in pair] == before


def test_the_same_change_in_both_is_none(pair):
    for path in pair:
        edit(path, "Same")
    assert run(pair[0].parent).returncode == 0
    check_pair(pair[0])


def test_a_notebook_that_was_only_run_follows_the_text(pair):
    text, path = pair
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="cpu\n")]
    nbformat.write(notebook, path)
    edit(text, "Other")
    assert run(text.parent).returncode == 0
    check_pair(text)
    assert "# Other" in path.read_text()


def test_a_missing_partner_is_made(pair):
    pair[1].unlink()
    assert run(pair[0].parent).returncode == 0
    check_pair(pair[0])
