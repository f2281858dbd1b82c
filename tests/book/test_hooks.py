"""The checks before a commit: all of them are local, and each is a command that is here."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
REPOS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
HOOKS = {hook["id"]: hook for repo in REPOS for hook in repo["hooks"]}


def test_no_hook_is_fetched():
    assert {repo["repo"] for repo in REPOS} == {"local"}
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


@pytest.mark.parametrize("name", ["lint", "pairs"])
def test_what_a_hook_runs_is_here(name):
    command, *_, last = HOOKS[name]["entry"].split()
    if command == "make":
        assert re.search(rf"^{last}:", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert command == ".venv/bin/python" and (ROOT / last).is_file()


@pytest.mark.parametrize("path, names", [
    ("queen_ref/cache.py", {"lint"}),
    ("notebooks/01_model_extraction.md", {"pairs", "added"}),
    ("notebooks/01_model_extraction.ipynb", {"lint", "pairs", "added"}),  # ruff reads its cells
    ("pyproject.toml", {"lint"}),
    ("README.md", set()),
])  # fmt: skip
def test_which_files_wake_which_hook(path, names):
    assert {name for name, hook in HOOKS.items() if re.search(hook["files"], path)} == names
