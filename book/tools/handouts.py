"""The chapters as a class gets them: without solutions, in Markdown that every editor shows.

    python book/tools/handouts.py                    into _build/handouts/NN_chapter.ipynb
    python book/tools/handouts.py --out some/folder
    python book/tools/handouts.py --no-quiz-answers  for a test: the options without what they earn

A solution's place is taken by an empty cell. The book's own markup becomes plain Markdown: a term
is a word, an equation carries its number, a box is a quotation.
"""

import argparse
import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell
from pybtex.database import BibliographyData, parse_file
from pybtex.plugin import find_plugin

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.md"))
GATE = re.compile(r"(```\{(?:exercise|solution)-(?:start|end)\}[^`]*```)")
CITED = re.compile(r"\{cite[:pt]*\}`([^`]+)`")
BOX = re.compile(r"(?:```|:::)\{admonition\} (.*)\n(?::\w+:.*\n)*\n?((?:.*\n)*?)(?:```|:::)$", re.M)
EQUATION = re.compile(r"\n\$\$ \(([\w-]+)\)")
ROLE = re.compile(r"\{([a-z:]+)\}`([^`]+)`")
ELSEWHERE = re.compile(r"## References\n|```\{bibliography\}[^`]*```|^\([\w-]+\)=\n", re.M)
OPTION = re.compile(
    r'<details class="quiz"[^>]*><summary>(.*?)</summary>\n.*?</details>\n?', re.DOTALL
)
ANSWER = "# Your answer"


def handout(path: Path, quiz_answers: bool = True) -> nbformat.NotebookNode:
    """A chapter's notebook without its solutions; without `quiz_answers`, without those too.

    >>> page = handout(ROOT / "notebooks" / "01_model_extraction.md")
    >>> sum(cell.source == ANSWER for cell in page.cells)
    6
    """
    notebook = jupytext.read(path)
    numbers = equations()
    cells, exercises, hidden = [], 0, False
    cited: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if not hidden:
                cells.append(cell)
            continue
        heading = ""
        for part in GATE.split(cell.source):  # one cell may end a solution and pose an exercise
            if part.startswith("```{exercise-start}"):
                exercises += 1
                heading = f"### Exercise {exercises}\n\n"
            elif part.startswith("```{solution-start}"):
                hidden = True
                cells.append(new_code_cell(ANSWER))
            elif part.startswith("```{solution-end}"):
                hidden = False
            elif part.startswith("```{exercise-end}"):
                pass
            elif not hidden:
                cited.update(key for keys in CITED.findall(part) for key in keys.split(","))
                part = part if quiz_answers else OPTION.sub(r"- [ ] \1\n", part)
                if text := plain(part, numbers):
                    cells.append(new_markdown_cell(heading + text))
                    heading = ""
    if cited:
        cells.append(new_markdown_cell(references(cited)))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # the same at each call
    notebook.cells = cells
    notebook.metadata.pop("jupytext", None)
    return notebook


def equations() -> dict[str, str]:
    """The number of every equation of the chapters by its label, as in the built book.

    >>> equations()["eq-model-extraction-loss"]
    '1.3'
    """
    return {
        label: f"{int(path.stem[:2])}.{number}"
        for path in CHAPTERS
        for number, label in enumerate(EQUATION.findall(path.read_text()), start=1)
    }


def plain(text: str, numbers: dict[str, str]) -> str:
    """MyST as Markdown; `numbers` are what `equations` returns.

    >>> plain("The {term}`thief` uses {eq}`eq-loss` {cite}`chen2025queen`.", {"eq-loss": "1.3"})
    'The thief uses (1.3) (Chen et al., 2025).'
    """
    text = ELSEWHERE.sub("", text)
    text = EQUATION.sub(lambda match: f"\n\\tag{{{numbers[match[1]]}}}\n$$", text)
    text = BOX.sub(quotation, text)
    return ROLE.sub(lambda match: word(match[1], match[2], numbers), text).strip()


def quotation(box: re.Match) -> str:
    """A box as Markdown's quotation, its title first."""
    lines = [f"**{box[1]}**", "", *box[2].strip().split("\n")]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def word(role: str, text: str, numbers: dict[str, str]) -> str:
    """What stands in place of a role: {role}`text` or {role}`title <target>`."""
    title, _, target = text.rstrip(">").partition("<")
    title, target = title.strip(), target or title
    if role == "eq":
        return f"({numbers[target]})"
    if role == "doc" and title == target:
        page = ROOT / target[1:] if target.startswith("/") else ROOT / "notebooks" / target
        return "*" + re.search(r"^# (.*)", page.with_suffix(".md").read_text(), re.M)[1] + "*"
    if role.startswith("cite"):
        sources = [source(key, short=role == "cite:t") for key in text.split(",")]
        return " and ".join(sources) if role == "cite:t" else f"({'; '.join(sources)})"
    return f"`{title}`" if role.startswith("py:") else title


def source(key: str, short: bool) -> str:
    """Authors and year of an entry of references.bib, in a sentence (`short`) or in brackets.

    >>> source("chen2025queen", short=True)
    'Chen et al. (2025)'
    """
    entry = parse_file(ROOT / "book" / "references.bib").entries[key.strip()]
    names = [" ".join(person.last_names) for person in entry.persons["author"]]
    who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{who} ({entry.fields['year']})" if short else f"{who}, {entry.fields['year']}"


def references(keys: set[str]) -> str:
    """The list of what a chapter cites, as in the built book.

    >>> references({"chen2025queen"})[:36]
    '## References\\n\\n- Huajie Chen, Tianq'
    """
    known = parse_file(ROOT / "book" / "references.bib").entries
    chosen = BibliographyData({key.strip(): known[key.strip()] for key in sorted(keys)})
    backend = find_plugin("pybtex.backends", "plaintext")()
    style = find_plugin("pybtex.style.formatting", "plain")()
    lines = [entry.text.render(backend) for entry in style.format_bibliography(chosen)]
    return "## References\n\n" + "\n".join(f"- {line}" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "handouts", help="folder")
    parser.add_argument("--no-quiz-answers", action="store_true", help="options only")
    options = parser.parse_args()
    out = options.out
    if out.exists() and not out.is_dir():
        print(f"--out: expected a folder, got {out}", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    for path in CHAPTERS:
        nbformat.write(handout(path, not options.no_quiz_answers), out / f"{path.stem}.ipynb")
        print(out / f"{path.stem}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
