"""The program that measures how long chapters take."""

import json
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
import times

ROOT = Path(__file__).resolve().parents[2]


def test_a_wrong_profile_is_refused():
    command = [sys.executable, ROOT / "book" / "tools" / "times.py", "--profiles", "smoke,fast"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "expected some of smoke,cpu,gpu, got 'fast'" in done.stderr


def test_it_measures_what_is_not_measured_yet(tmp_path, monkeypatch):
    asked = []

    def measure(path, profile, at_once):
        asked.append(path.stem)
        return {"seconds": 1.0}

    monkeypatch.setattr(times, "measure", measure)
    out = tmp_path / "times.json"
    out.write_text(json.dumps({"04_gradient_reverse": {"smoke": {"seconds": 9.0}}}))
    monkeypatch.setattr(sys, "argv", ["times.py", "--profiles", "smoke", "--out", str(out)])
    assert times.main() == 0
    written = json.loads(out.read_text())
    assert "04_gradient_reverse" not in asked and len(asked) == len(written) - 1
    assert written["04_gradient_reverse"]["smoke"]["seconds"] == 9.0


@pytest.mark.notebook
def test_chapters_side_by_side_have_one_folder_that_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(times, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    cells = "import os, time\ntime.sleep({})\nassert os.path.isdir(os.getcwd())"
    for number, wait in ((1, 0), (2, 2)):
        notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
        notebook.cells = [nbformat.v4.new_code_cell(cells.format(wait)) for _ in range(2)]
        notebook.metadata["kernelspec"] = {
            "name": "python3", "language": "python", "display_name": "Python 3"}  # fmt: skip
        jupytext.write(notebook, tmp_path / "notebooks" / f"0{number}_chapter.md", fmt="myst")
    monkeypatch.setattr(sys, "argv", [
        "times.py", "--profiles", "smoke", "--at-once", "2", "--out", "times.json"])  # fmt: skip
    assert times.main() == 0
    assert len(json.loads((tmp_path / "times.json").read_text())) == 2


def test_a_chapter_that_fails_does_not_cost_the_others_their_times(tmp_path, monkeypatch, capsys):
    def measure(path, profile, at_once):
        if path.stem == "03_sensitivity":
            raise ValueError("no such thing")
        return {"seconds": 1.0}

    monkeypatch.setattr(times, "measure", measure)
    out = tmp_path / "times.json"
    monkeypatch.setattr(sys, "argv", [
        "times.py", "--profiles", "gpu", "--at-once", "3", "--out", str(out)])  # fmt: skip
    assert times.main() == 1
    stems = {path.stem for path in ROOT.glob("notebooks/[0-9][0-9]_*.md")}
    # In gpu, chapter 9 takes as long as it is told to.
    assert set(json.loads(out.read_text())) == stems - {"03_sensitivity", "09_photographs"}
    assert "03_sensitivity gpu: FAILED" in capsys.readouterr().err
