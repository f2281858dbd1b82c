"""`import queen_ref` needs torch, torchvision, numpy and scikit-learn, and nothing else."""

import subprocess
import sys

CORE = """
import importlib.abc, sys
import numpy, sklearn, torch, torchvision

# What a machine without the book may lack.
OPTIONAL = {"plotly", "umap", "ipywidgets", "IPython", "papermill", "mlxtend", "tqdm", "pandas",
            "pytorch_metric_learning", "matplotlib", "numba", "ray", "typer", "jupytext",
            "anywidget", "rich", "ipykernel", "scipy"}

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
qr.training.fit(model, images, torch.arange(40) % 3, epochs=1)
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
