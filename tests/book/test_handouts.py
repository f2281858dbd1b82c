"""The handouts: chapters without solutions, in Markdown that needs no extension."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill as pm
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.stem for path in ROOT.glob("notebooks/[0-9][0-9]_*.md"))


@pytest.fixture(scope="module")
def handouts(tmp_path_factory) -> dict:
    out = tmp_path_factory.mktemp("handouts")
    program = ROOT / "book" / "tools" / "handouts.py"
    subprocess.run([sys.executable, program, "--out", out], check=True)
    return {path.stem: nbformat.read(path, as_version=4) for path in out.glob("*.ipynb")}


def prose(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_every_chapter_has_one_and_it_is_valid(handouts):
    assert sorted(handouts) == CHAPTERS
    for notebook in handouts.values():
        nbformat.validate(notebook)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_markup_of_the_book_is_left(handouts, chapter):
    text = prose(handouts[chapter])
    assert not re.findall(r"\{[a-z:]+\}`|:::|```\{|\$\$ \(|^\([\w-]+\)=$", text, re.M)
    assert "\n\\tag{" in text or "$$" not in text


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_stay_and_solutions_go(handouts, chapter):
    text = (ROOT / "notebooks" / f"{chapter}.md").read_text()
    count = text.count("{exercise-start}")
    cells = [cell.source for cell in handouts[chapter].cells]
    assert cells.count("# Your answer") == count
    assert prose(handouts[chapter]).count("### Exercise ") == count
    solutions = re.findall(r"```\{solution-start\}.*?\{solution-end\}", text, re.S)
    assert len(solutions) == count
    lines = {line for s in solutions for line in s.splitlines() if len(line) > 50}
    outside = re.sub(r"```\{solution-start\}.*?\{solution-end\}", "", text, flags=re.S)
    shown = set("\n".join(cells).splitlines())
    assert not {line for line in lines if line not in outside} & shown


def test_what_is_no_solution_stays(handouts):
    original = nbformat.read(ROOT / "notebooks" / f"{CHAPTERS[0]}.ipynb", as_version=4)
    code = [cell.source for cell in original.cells if cell.cell_type == "code"]
    kept = [cell.source for cell in handouts[CHAPTERS[0]].cells if cell.cell_type == "code"]
    first = kept.index("# Your answer")
    assert first > 10 and kept[:first] == code[:first]


def test_an_equation_keeps_the_number_that_the_book_gives_it(handouts):
    assert "\\tag{1.4}" in prose(handouts[CHAPTERS[0]])
    assert "(1.4)" in prose(handouts["04_gradient_reverse"])


def test_what_a_chapter_cites_is_listed(handouts):
    last = handouts[CHAPTERS[0]].cells[-1].source
    assert last.startswith("## References") and "Jagielski" in last
    assert not set("{}\\") & set(last)


def test_quiz_answers_can_be_left_out(tmp_path):
    command = [sys.executable, ROOT / "book" / "tools" / "handouts.py", "--no-quiz-answers"]
    subprocess.run([*command, "--out", tmp_path], check=True)
    for chapter in CHAPTERS:
        text = prose(nbformat.read(tmp_path / f"{chapter}.ipynb", as_version=4))
        assert "details" not in text and "**Right.**" not in text and "**Not quite.**" not in text
        assert text.count("- [ ] ") == (ROOT / "notebooks" / f"{chapter}.md").read_text().count(
            '<details class="quiz"'
        )


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("")
    command = [sys.executable, ROOT / "book" / "tools" / "handouts.py", "--out", taken]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "expected a folder" in done.stderr


@pytest.mark.notebook
def test_a_handout_runs(handouts, tmp_path):
    parameters = {"profile": "smoke"}
    done = pm.execute_notebook(
        handouts["09_photographs"], None, parameters, cwd=tmp_path, kernel_name="python3",
        start_timeout=600,
    )  # fmt: skip
    assert done["metadata"]["papermill"]["exception"] is None
