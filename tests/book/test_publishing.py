"""What publishes the book says the same as the README, and installs from the one lock."""

import ast
import json
import os
import re
import sys
import tomllib
from pathlib import Path

import jupytext
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md"))
URL = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
NAMED_IN = [
    "README.md",
    "CITATION.cff",
    "pyproject.toml",
    "book/queen_book/chapter.py",
    "book/setup.md",
    "CONTRIBUTING.md",
    *(f"notebooks/{path.name}" for path in CHAPTERS),
]


def workflow(name: str) -> tuple[dict, list[str]]:
    """A workflow, and the commands it runs."""
    found = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    steps = [step for job in found["jobs"].values() for step in job["steps"]]
    return found, [step["run"] for step in steps if "run" in step]


def test_the_book_is_published_only_after_both_commands_of_the_readme():
    found, commands = workflow("book")
    assert commands.index("make book") < commands.index("make test")
    assert found["jobs"]["publish"]["needs"] == "test"
    assert "refs/heads/main" in found["jobs"]["publish"]["if"]


def test_the_weekly_run_takes_the_newest_versions_and_reports_a_failure():
    found, commands = workflow("newest")
    assert found[True]["schedule"], "yaml reads the key `on` as True"
    assert commands.index("make lock") < commands.index("make test")
    report = found["jobs"]["newest"]["steps"][-1]
    assert report["if"] == "failure()" and "gh issue create" in report["run"]


def test_binder_and_the_dev_container_install_from_the_lock():
    script = ROOT / "binder" / "postBuild"
    assert "requirements.lock" in script.read_text() and os.access(script, os.X_OK)
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make env"


def test_the_tests_run_on_every_python_that_the_package_allows():
    found, commands = workflow("tests")
    matrix = found["jobs"]["unit"]["strategy"]["matrix"]
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert any(case["os"].startswith("macos") for case in matrix["include"])
    assert {"make lint", "make unit"} <= set(commands)


def needed(extra: str | None) -> set[str]:
    """The distributions that the package asks for, or that an extra and those inside it do."""
    found = set()
    for line in PROJECT["dependencies"] if extra is None else EXTRAS[extra]:
        name, inner = re.match(r"([\w-]+)(?:\[([\w,-]+)\])?", line).groups()
        found |= set().union(*map(needed, inner.split(","))) if inner else {name.lower()}
    return found


def imported(source: str) -> set[str]:
    """The packages that a cell or a file imports."""
    plain = re.sub(r"^( *)%.*$", r"\1pass", source, flags=re.M)
    nodes = list(ast.walk(ast.parse(plain)))
    found = {n.module.split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom)}
    plain_imports = (node.names for node in nodes if isinstance(node, ast.Import))
    return found | {alias.name.split(".")[0] for names in plain_imports for alias in names}


def test_the_extra_of_a_notebooks_first_cell_is_all_that_the_book_imports():
    cells = [cell for path in CHAPTERS for cell in jupytext.read(path).cells]
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    sources += [path.read_text() for path in (ROOT / "book" / "queen_book").rglob("*.py")]
    # Some come with others: a notebook has IPython, torchvision has Pillow.
    names = {"sklearn": "scikit-learn", "umap": "umap-learn", "IPython": "ipywidgets",
             "PIL": "torchvision"}  # fmt: skip
    wanted = set().union(*map(imported, sources)) - sys.stdlib_module_names
    wanted = {names.get(word, word) for word in wanted}
    assert {"plotly", "torch"} <= wanted
    # Chapter 6 does without ART where it is not installed, and says so.
    extra = wanted - needed("book") - needed(None)
    assert extra == {"queen_ref", "queen_book", "art"}


def test_every_range_stands_in_one_place_and_has_its_pin():
    ranges = [line for lines in [PROJECT["dependencies"], *EXTRAS.values()] for line in lines]
    names = [re.match(r"[\w-]+", line)[0] for line in ranges if not line.startswith("queen-ref")]
    assert len(names) == len(set(names))
    assert (ROOT / "requirements.txt").read_text().splitlines()[-1] == ".[dev]"
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), re.M)
    assert needed("dev") | needed(None) <= set(pinned)


@pytest.mark.parametrize("name", NAMED_IN)
def test_every_address_of_the_repository_is_that_of_the_config(name):
    text = (ROOT / name).read_text()
    owner_and_name = URL.removeprefix("https://github.com/")
    hosts = r"(?:github\.com|raw\.githubusercontent\.com)/"
    found = set(re.findall(hosts + r"([\w-]+/[\w-]+)", text))
    assert found == {owner_and_name}, f"{name} names {found}, _config.yml {owner_and_name}"
