"""The hash of code: the same for the same, another for whatever decides what is done."""

import functools
import subprocess
import sys

import pytest
import torch

import queen_ref as qr
from queen_ref.arena import code
from queen_ref.arena.code import code_of, is_own, library_code

FACTOR = 2


def doubled(x):
    return helper(x) * FACTOR


def helper(x):
    return x + 1


class Kept:
    """A class with settings."""

    steps = 3

    def __init__(self, width=1):
        self.width = width

    def run(self, x):
        return helper(x)


def test_the_same_gives_the_same():
    assert code_of(doubled) == code_of(doubled)
    assert code_of(Kept(2)) == code_of(Kept(2))
    assert code_of(functools.partial(doubled, x=1)) == code_of(functools.partial(doubled, x=1))


METHOD = """
def method(x):
    for row in x:
        if torch.any(row > 0):
            return torch.relu(row.abs(), out=None)
    return None
"""


def from_text(*texts):
    """The function `method` of texts that are compiled one by one, as a notebook's cells are."""
    world = {"__name__": "__main__"}
    for text in texts:
        exec(compile(text, "a text", "exec"), world)
    return world["method"]


def test_a_cell_of_a_notebook_is_the_file_that_it_is_copied_to():
    whole, pieces = from_text(f"import torch\n{METHOD}"), from_text("import torch", METHOD)
    assert code_of(whole) == code_of(pieces)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.any", "torch.all"),
        ("row > 0", "row >= 0"),
        ("row > 0", "row > 1"),
        ("row.abs()", "row"),
        ("in x:", "in x.flip(0):"),
        ("out=None", "input=None"),
        ("        if", "        row = row + 1\n        if"),
        ("    return None", "        return None"),
    ],
)
def test_a_changed_step_changes_it(old, new):
    assert METHOD.count(old) == 1
    assert code_of(from_text(METHOD)) != code_of(from_text(METHOD.replace(old, new)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: x + 1, lambda x: x - 1),
        (lambda x=1: x, lambda x=2: x),
        (Kept(1), Kept(2)),
        (functools.partial(doubled, x=1), functools.partial(doubled, x=2)),
        (torch.zeros(3), torch.ones(3)),
        (Kept, type("Kept", (Kept,), {"steps": 4})),
        (qr.QueenConfig(), qr.QueenConfig(threshold=0.1)),
        ({"a": 1}, {"a": 2}),
        (Kept(1).run, Kept(2).run),
    ],
)
def test_what_decides_changes_it(one, other):
    assert code_of(one) != code_of(other)


@pytest.mark.parametrize("name", ["FACTOR", "helper"])
def test_a_constant_or_function_beside_it_counts(monkeypatch, name):
    before = code_of(doubled)
    monkeypatch.setattr(sys.modules[__name__], name, 3 if name == "FACTOR" else lambda x: x)
    assert code_of(doubled) != before


def test_a_closure_counts():
    def made(step):
        return lambda x: x + step

    assert code_of(made(1)) == code_of(made(1)) != code_of(made(2))


def test_it_is_the_same_in_another_process(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\nSOME = {'b', 'a', 'c'}\nclass A(torch.nn.Module):\n"
        "    def forward(self, x):\n        return x if x in {'p', 'q', 'r'} else SOME\n"
    )
    command = "from queen_ref.arena.code import code_of; import mine; print(code_of(mine.A))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", command], capture_output=True, text=True, cwd=tmp_path,
            env={**__import__("os").environ, "PYTHONHASHSEED": seed}, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1] and len(runs[0].strip()) == 20


def test_whose_a_module_is():
    assert not any(map(is_own, ("torch", "os", "builtins", "queen_ref.models", "numpy.linalg")))
    assert is_own(__name__) and is_own("__main__")


def test_the_code_that_trains_is_part_of_what_a_part_depends_on(monkeypatch, tmp_path):
    """Another training code, and the victim is trained anew."""
    for name in code.TRAINING:
        assert (code.HERE / name).exists(), name
    before = library_code()
    copy = tmp_path / "queen_ref"
    (copy / "training").mkdir(parents=True)
    monkeypatch.setattr(code, "HERE", copy)
    monkeypatch.setattr(code, "TRAINING", ("training",))
    (copy / "training" / "fit.py").write_text("lr = 0.1\n")
    library_code.cache_clear()
    one = library_code()
    (copy / "training" / "fit.py").write_text("lr = 0.2\n")
    library_code.cache_clear()
    assert len({before, one, library_code()}) == 3
    library_code.cache_clear()
