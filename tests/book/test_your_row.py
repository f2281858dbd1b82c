"""The page "Your row in the arena": each of its cells alone, typed into a notebook and into a file.

Here in the profile smoke, with a smaller budget, each in an empty folder.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from queen_ref import arena
from queen_ref.attacks import recovery
from queen_ref.cli import main
from queen_ref.defenses import Defense

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "book" / "your_row.md").read_text()
CELLS = re.findall(r"```\{code-cell\} ipython3\n((?!:tags:).*?)```", TEXT, re.S)
*IDEAS, FILE = CELLS  # four ideas, and a look at the file they wrote
NETWORK, ENDING = re.findall(r"```python\n(.*?)```", TEXT, re.S)
(COMMANDS,) = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
(REFUSAL,) = re.findall(r"```text\n(.*?)```", TEXT, re.S)

TAKES = [
    {"none", "noise", "noise(scale=2.0)"},
    {"random", "least_sure"},
    {"naive", "zero_names"},
    {"all ten", "seven"},
]


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> dict[str, str]:
    """What a program of the reader's runs in: parts are trained once for this file."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "book"), os.environ.get("PYTHONPATH", "")])
    cache = str(tmp_path_factory.mktemp("parts"))
    return {**os.environ, "PYTHONPATH": path, "QUEEN_CACHE": cache, "TQDM_DISABLE": "1"}


def quick(code: str) -> str:
    """The same in seconds; the numbers mean nothing then."""
    assert code.count("budget=400") + code.count("--budget 400") > 0
    code = code.replace("budget=400", 'profile="smoke", budget=100')
    code = code.replace("--budget 400", "--profile smoke --budget 100")
    return code.replace("0,1,2", "0").replace("[0, 1, 2]", "[0]")


def definitions(code: str) -> str:
    """A cell without the lines that run it."""
    head, _, _ = code.partition("\nrows = ")
    return head


def script(folder: Path, code: str, env: dict, *, name: str = "mine.py") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(code)
    return shell(folder, f"{sys.executable} {name}", env)


def shell(folder: Path, command: str, env: dict) -> str:
    done = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def notebook(folder: Path, codes: list[str], env: dict, monkeypatch) -> list[str]:
    """Run cells in a new kernel; what each of them printed."""
    folder.mkdir(exist_ok=True)
    for name in ("PYTHONPATH", "QUEEN_CACHE", "TQDM_DISABLE"):
        monkeypatch.setenv(name, env[name])
    cells = [nbformat.v4.new_code_cell(code) for code in codes]
    NotebookClient(
        nbformat.v4.new_notebook(cells=cells),
        kernel_name="python3",
        timeout=3600,
        startup_timeout=600,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    outputs = [[out for out in cell.outputs if out.get("name") == "stdout"] for cell in cells]
    return ["".join(out.text for out in some) for some in outputs]


def measured(folder: Path) -> dict[str, tuple]:
    lines = arena.read(folder / "mine.jsonl")
    return {line["key"]: (line["substitute_accuracy"], line["curve"], line["l1"]) for line in lines}


def test_the_page_has_four_ideas_and_none_is_long():
    assert len(IDEAS) == 4
    for code in CELLS:
        assert len(code.splitlines()) <= 36 and max(map(len, code.splitlines())) <= 88
        compile(code, "a cell", "exec")
    for code in IDEAS:
        assert code.count("arena.run(") == 1 and "seeds=[0]" in code and "budget=400" in code


@pytest.mark.notebook
@pytest.mark.parametrize("number", range(4))
def test_a_cell_alone_is_the_same_in_a_file_and_in_a_notebook(number, tmp_path, env, monkeypatch):
    code = quick(IDEAS[number])
    printed = script(tmp_path / "file", code, env)
    (seen,) = notebook(tmp_path / "notebook", [code], env, monkeypatch)
    assert all(word in printed for word in TAKES[number])
    assert printed == seen
    assert measured(tmp_path / "file") == measured(tmp_path / "notebook")
    assert {p.name for p in (tmp_path / "notebook").iterdir()} == {"mine.jsonl", ".mine.jsonl.lock"}


@pytest.mark.notebook
def test_the_cells_one_after_the_other_and_a_look_at_their_file(tmp_path, env, monkeypatch):
    refused = (
        "try:\n    arena.run('mine.jsonl', budget=90, profile='smoke', policies=[least_sure],\n"
        "              attacks=['naive'], defenses=['none'], seeds=[0], workers=2)\n"
        "except ValueError as error:\n    print(error)"
    )
    codes = [*map(quick, IDEAS[:2]), FILE, refused]
    *_, looked, said = notebook(tmp_path, codes, env, monkeypatch)
    assert "substitute_accuracy" in looked
    assert " ".join(said.split()) == " ".join(REFUSAL.split())

    frame = pd.read_json(tmp_path / "mine.jsonl", lines=True)
    assert len(frame) == 6 == frame["key"].nunique()  # naive against none: once for both cells
    flat = ["attack", "policy", "defense", "seed", "substitute_accuracy", "fidelity", "l1"]
    assert not any(frame[name].map(lambda value: isinstance(value, dict)).any() for name in flat)
    nested = ["counters", "seconds", "curve", "versions", "config"]
    assert all(frame[name].map(lambda value: isinstance(value, dict)).all() for name in nested)
    wide = pd.json_normalize(arena.read(tmp_path / "mine.jsonl"))
    assert {"seconds.training", "config.settings.sizes.epochs"} <= set(wide.columns)
    assert all(len(curve["accuracy"]) == len(curve["fidelity"]) > 1 for curve in frame["curve"])


def mine() -> str:
    """The file `mine.py` of the page."""
    head = "from queen_ref import arena, attacks, defenses, metrics\n\n"
    return "\n\n".join([*map(definitions, IDEAS[:3]), head + ENDING])


@pytest.mark.notebook
def test_the_file_by_python_and_by_the_command_line(tmp_path, env, capsys):
    (tmp_path / "mine.py").write_text(quick(mine()))
    python, arena_command, report = quick(COMMANDS).replace("\\\n", " ").strip().splitlines()
    run = f"{sys.executable} -m queen_ref.cli"
    assert python == "python mine.py" and arena_command.startswith("queen-ref arena --plugin")
    shell(tmp_path, f"{sys.executable} mine.py", env)
    first = measured(tmp_path)
    assert len(first) == 4
    code = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text("# A comment changes nothing.\n" + code)
    told = shell(tmp_path, arena_command.replace("queen-ref", run, 1), env)
    assert "2 cells measured, 6 of 6" in told, told  # those against QUEEN; four are there
    table = shell(tmp_path, report.replace("queen-ref", run, 1), env)
    assert "noise" in table and "zero_names" in table and "Kept apart" not in table

    # A changed body is another row, and nobody averages the two.
    assert code.count("self.scale * noise") == 1
    changed = code.replace("self.scale * noise", "self.scale * 0.5 * noise")
    (tmp_path / "mine.py").write_text(changed)
    told = shell(tmp_path, arena_command.replace("queen-ref", run, 1), env)
    assert "2 cells measured, 6 of 6" in told, told
    assert main(["report", str(tmp_path / "mine.jsonl")]) == 0
    table = capsys.readouterr().out
    assert "Kept apart" in table and table.count("- defense noise: code ") == 2


@pytest.mark.notebook
def test_a_network_of_ones_own_beside_the_data(tmp_path, env):
    code = quick(IDEAS[3]).replace('["none", "top1"]', '["none"]') + quick(NETWORK)
    script(tmp_path, code, env)
    lines = arena.read(tmp_path / "mine.jsonl")
    assert len(lines) == 3 and sum("model" in line["config"]["code"] for line in lines) == 1


def test_what_the_tables_name_is_there():
    parts = zip(("defense", "policy", "recovery"), TEXT.split("\n(your-")[1:4], strict=True)
    rows = {name: re.findall(r"^\| `(\w+)", part, re.M) for name, part in parts}
    assert rows["defense"] == ["answer", "name", "keeps_label", "l1_bound", "stateful", "flags"]
    assert set(rows["defense"]) <= {*dir(Defense), *Defense.__annotations__}
    assert rows["policy"] == ["ask", "pool", "budget", "train", "seed"]
    assert rows["recovery"] == ["needs", "begin", "adaptive", "policies", "flags"]
    assert all(f"`{word}" in (recovery.__doc__ or "") for word in rows["recovery"])
