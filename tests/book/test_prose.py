"""The prose pages say what is there: every name, setting, term and number they rely on."""

import ast
import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
import reference
import yaml

import queen_ref as qr
from benchmarks.maps import MAPS

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
PAGES = ["index", "setup", "notation", "glossary", "paper_to_code", "departures", "serving", "api"]
OUTSIDE = ["../README", "../CONTRIBUTING"]


def public_modules() -> set[str]:
    """Every module of the two packages that has a public function or class at its top."""
    found = set()
    for root, package in ((ROOT, "queen_ref"), (BOOK, "queen_book")):
        for path in (root / package).rglob("*.py"):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                known = isinstance(node, ast.FunctionDef | ast.ClassDef)
                if known and not node.name.startswith("_"):
                    found.add(module.removesuffix(".__init__"))
    return found


def test_api_has_every_module_with_a_public_name():
    missing = public_modules() - set(reference.modules((BOOK / "api.md").read_text()))
    assert not missing, f"not in book/api.md: {', '.join(sorted(missing))}"


def test_every_setting_is_explained_with_its_default():
    text = (BOOK / "paper_to_code.md").read_text()
    rows = re.findall(r"\| ([^|]*) \| `(\w+)` \|$", text, flags=re.M)
    defaults = {field: default for default, field in rows}
    for field in dataclasses.fields(qr.QueenConfig):
        assert field.name in defaults, f"no setting {field.name} in book/paper_to_code.md"
        if type(field.default) in (int, float):
            shown = re.findall(r"[\d.]+", defaults[field.name])
            assert float(shown[0]) == field.default, f"{field.name}: page says {shown[0]}"


def test_glossary_is_in_alphabetical_order_and_without_doubles():
    lines = (BOOK / "glossary.md").read_text().splitlines()
    terms = [line for line in lines if re.match(r"[A-Za-z]", line)]
    assert len(set(terms)) == len(terms) >= 43
    assert terms == sorted(terms, key=str.lower)


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE])
def test_make_targets_that_a_page_names_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z]+)", (BOOK / f"{page}.md").read_text(), re.M):
        assert re.search(rf"^{target}:", makefile, re.M), f"{page} names make {target}"


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE])
def test_files_that_a_page_names_exist(page):
    text = (BOOK / f"{page}.md").read_text()
    folders = "book|notebooks|benchmarks|queen_ref|tests"
    for name in re.findall(rf"(?<![\w/])((?:{folders})/[\w/]+\.\w+)", text):
        assert (ROOT / name).exists(), f"{page} names {name}"


def test_citation_and_footer_have_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    footer = yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["extra_footer"]
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert built["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "queen_ref.__version__"}
    assert citation["version"] == qr.__version__ and footer == f"QUEEN-ref {qr.__version__}"
    assert "2407.01251" in citation["references"][0]["url"]


def test_recorded_departures_are_complete():
    record = json.loads((BOOK / "results" / "departures.json").read_text())
    assert len(record["seeds"]) >= 3
    assert {"date", "device", "versions", "data"} <= set(record)
    page = (BOOK / "departures.md").read_text()
    for name, rows in record["experiments"].items():
        assert f'"{name}"' in page, f"the page does not show {name}"
        for row, columns in rows.items():
            for column, values in columns.items():
                assert len(values) == len(record["seeds"]), f"{name}, {row}, {column}"


def test_recorded_maps_are_those_of_the_program():
    record = (BOOK / "results" / "maps.jsonl").read_text().splitlines()
    lines = [json.loads(text) for text in record]
    seeds = sorted({line["seed"] for line in lines})
    measured = sorted((line["map"], line["seed"]) for line in lines)
    assert measured == sorted((name, seed) for name in MAPS for seed in seeds)


def test_no_number_on_the_departures_page_is_typed_by_hand():
    """Measured numbers come from the file; prose may state settings and counts."""
    page = (BOOK / "departures.md").read_text()
    prose = re.sub(r"```\{code-cell\}.*?```", "", page, flags=re.S).split("(departs-run)=")[1]
    found = re.findall(r"\d+\.?\d* ?(?:%|percent)", prose)
    assert set(found) <= {"5 %"}, found  # the feature walk's step


CHAPTERS = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.md"))
# In the glossary, and words of every day too.
KINDS = {"Recall", "Reading", "Calculation", "Code", "Experiment", "Research"}  # of exercises
EVERYDAY = {"detector", "exact", "inside", "mad", "novel", "recovery", "smoothing", "strict"}
NOT_PROSE = [
    r"```(?:\{code-cell\}|sh|python|text).*?```",
    r"\$\$.*?\$\$(?: \(eq-[\w-]+\))?",
    r"<summary>.*?</summary>",  # a quiz's answer is HTML and cannot hold a link
    r"\{eq\}`.*?`",
    r"(?m:^#.*?$|^:label:.*?$)",
]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_links_the_terms_it_uses(path):
    glossary = (BOOK / "glossary.md").read_text().splitlines()
    terms = {line.lower() for line in glossary if re.match(r"[A-Za-z]", line)} - EVERYDAY
    text = re.sub("|".join(NOT_PROSE), "", path.read_text(), flags=re.S)
    link = r"\{term\}`(?:[^`<]*<)?([^`>]*)>?`"
    linked = {" ".join(term.lower().split()) for term in re.findall(link, text)}
    words = " ".join(re.sub(r"`[^`]*`", "", re.sub(link, "", text)).split())
    used = {term for term in terms if re.search(rf"\b{re.escape(term)}s?\b", words, re.I)}
    assert linked, "expected links to the glossary"
    assert not used - linked, f"never linked: {', '.join(sorted(used - linked))}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_all_its_parts(path):
    text = path.read_text()
    objectives = "\n:::{admonition} After this chapter you can\n:class: tip\n"
    for part in (objectives, "\n## Key points\n", "\n## Quiz\n", "\n## Exercises\n"):
        assert text.count(part) == 1, part
    code = r"```\{code-cell\}.*?```"
    assert re.search(r"\$[^$]+\$", re.sub(code, "", text, flags=re.S)), "expected an equation"
    assert "chapter.show(" in text, "expected a figure"
    assert text.count('<details class="quiz"') >= 9, "expected three questions of three answers"
    # jupyterlab-myst takes two answers without a line between for one, and shows it unfolded.
    assert "</details>\n<details" not in text, "expected an empty line between answers"
    exercises = re.findall(r"\{exercise(?:-start)?\}.*?:label: ([\w-]+)", text, re.S)
    solutions = re.findall(r"\{solution(?:-start)?\} ([\w-]+)", text)
    assert exercises == solutions and len(exercises) >= 4
    kinds = re.findall(r"\{exercise-start\}\n:label: [\w-]+\n```\n+\*\*(\w+)\.\*\* ", text)
    assert len(kinds) == len(exercises), "expected every exercise to begin with its kind"
    assert (kinds[0], kinds[-1]) == ("Recall", "Research") and set(kinds) <= KINDS


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_is_listed_where_readers_look(path):
    assert f"file: notebooks/{path.stem}\n" in (ROOT / "_toc.yml").read_text(), "not in _toc.yml"
    index = (BOOK / "index.md").read_text()
    for row in (f"| {{doc}}`/notebooks/{path.stem}` |", f"| {int(path.stem[:2])} "):
        assert f"\n{row}" in index, f"no row in a table of book/index.md: {row}"


def test_every_figure_of_the_book_has_a_name_of_its_own():
    """On one page, as in the PDF, plotly finds a figure by its name."""
    text = "".join(path.read_text() for path in [*CHAPTERS, *BOOK.glob("*.md")])
    names = re.findall(r'chapter\.show\(\s*[^"]*?"([a-z0-9-]+)",', text)
    assert len(names) > 40
    assert len(set(names)) == len(names), sorted(n for n in set(names) if names.count(n) > 1)
