"""What publishes the book says the same as the README, and installs from the one lock."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
URL = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
NAMED_IN = [
    "README.md",
    "CITATION.cff",
    "pyproject.toml",
    "book/queen_book/chapter.py",
    "book/setup.md",
    *(f"notebooks/{path.name}" for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md"))),
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


@pytest.mark.parametrize("name", NAMED_IN)
def test_every_address_of_the_repository_is_that_of_the_config(name):
    text = (ROOT / name).read_text()
    owner_and_name = URL.removeprefix("https://github.com/")
    hosts = r"(?:github\.com|raw\.githubusercontent\.com)/"
    found = set(re.findall(hosts + r"([\w-]+/[\w-]+)", text))
    assert found == {owner_and_name}, f"{name} names {found}, _config.yml {owner_and_name}"
