"""A Sphinx extension: the chapters and the API reference point at each other.

An entry of the reference names the page that explains it (`EXPLAINED`, by module). A chapter lists
what its code uses of the package, read from its code cells, near its end. The setup
page gets the recorded times where it says `<!-- times -->`. Nothing of this is typed twice.
"""

import ast
import importlib
import inspect
import json
from pathlib import Path
from types import ModuleType

import jupytext
from IPython.core.inputtransformer2 import TransformerManager

from queen_book.chapter import ran_on
from queen_ref.progress import in_words

ROOT = Path(__file__).resolve().parents[2]

# The longest module that fits decides.
EXPLAINED = {
    "queen_ref": "book/setup",
    "queen_book.figures.landing": "book/index",
    "queen_ref.blackbox": "notebooks/01_model_extraction",
    "queen_ref.metrics": "notebooks/01_model_extraction",
    "queen_ref.models": "notebooks/01_model_extraction",
    "queen_ref.training": "notebooks/01_model_extraction",
    "queen_ref.attacks.policies": "notebooks/01_model_extraction",
    "queen_ref.attacks.training": "notebooks/01_model_extraction",
    "queen_book.figures.extraction": "notebooks/01_model_extraction",
    "queen_ref.queen.features": "notebooks/02_feature_clustering",
    "queen_book.figures.clustering": "notebooks/02_feature_clustering",
    "queen_ref.queen.sensitivity": "notebooks/03_sensitivity",
    "queen_ref.queen.point_grid": "notebooks/03_sensitivity",
    "queen_ref.queen.history": "notebooks/03_sensitivity",
    "queen_book.figures.sensitivity": "notebooks/03_sensitivity",
    "queen_book.figures.fates": "notebooks/03_sensitivity",
    "queen_book.figures.ledger": "notebooks/03_sensitivity",
    "queen_book.explorers.sensitivity": "notebooks/03_sensitivity",
    "queen_ref.queen.unlearning": "notebooks/04_gradient_reverse",
    "queen_ref.queen.shadows": "notebooks/04_gradient_reverse",
    "queen_book.figures.reversal": "notebooks/04_gradient_reverse",
    "queen_ref.queen": "notebooks/05_queen_end_to_end",
    "queen_book.figures.end_to_end": "notebooks/05_queen_end_to_end",
    "queen_book.figures.thresholds": "notebooks/05_queen_end_to_end",
    "queen_book.explorers.budget": "notebooks/05_queen_end_to_end",
    "queen_ref.attacks": "notebooks/06_attacks",
    "queen_ref.training.augmentation": "notebooks/06_attacks",
    "queen_book.figures.attacks": "notebooks/06_attacks",
    "queen_ref.defenses": "notebooks/07_defenses",
    "queen_book.three_classes": "notebooks/07_defenses",
    "queen_book.explorers.simplex": "notebooks/07_defenses",
    "queen_book.figures.triangle": "notebooks/07_defenses",
    "queen_book.figures.simplex": "notebooks/07_defenses",
    "queen_book.figures.defenses": "notebooks/07_defenses",
    "queen_ref.arena": "notebooks/08_arena",
    "queen_ref.arena.engines": "book/cluster",
    "queen_ref.arena.figures": "notebooks/08_arena",
    "queen_book.figures.benchmarks": "book/benchmarks",
    "queen_ref.cli": "notebooks/09_paper_scale",
    "queen_ref.cli.commands": "notebooks/09_paper_scale",
}


def explained(module: str) -> str:
    """The page that explains a module's functions.

    >>> explained("queen_ref.queen.unlearning"), explained("queen_ref.data.files")
    ('notebooks/04_gradient_reverse', 'book/setup')
    """
    while module not in EXPLAINED:
        module = module.rpartition(".")[0]
    return EXPLAINED[module]


# Every chapter draws and checks its parameters; its list is about the rest.
EVERYWHERE = ("queen_book.figures", "queen_ref.plots", "queen_book.chapter", "queen_book.claims")


def entry(thing) -> str | None:
    """The name under which the reference has a function or class of the package, if it has."""
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return None
    module = thing.__module__
    if not module.startswith("queen_ref"):
        return None
    top = importlib.import_module("queen_ref")
    where = "queen_ref" if getattr(top, thing.__name__, None) is thing else module
    return f"{where}.{thing.__qualname__}"


def used(chapter: Path) -> list[str]:
    """What of the package a chapter's code names, as entries of the reference.

    >>> "queen_ref.reverse_gradient" in used(ROOT / "notebooks" / "04_gradient_reverse.md")
    True
    """
    cells = [cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    # IPython's %pip is no Python.
    tree = ast.parse(TransformerManager().transform_cell("\n".join(cells)))
    names: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "queen_ref":
                    names[alias.asname or alias.name] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("queen_ref"):
            for alias in node.names:
                module = importlib.import_module(node.module)
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                names[alias.asname or alias.name] = getattr(module, alias.name)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = entry(value(node, names))
            if name:
                found.add(name)
    return sorted(found)


def value(node: ast.AST, names: dict[str, object]):
    """The object of `name` or `module.name`; None for what is not the package's."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        module = value(node.value, names)
        return getattr(module, node.attr, None) if isinstance(module, ModuleType) else None
    return None


def add_page(app, what, name, thing, options, lines) -> None:
    """Under an entry of the reference: where it is explained."""
    if what in ("function", "class", "exception"):
        page = explained(getattr(thing, "__module__", name))
        lines += ["", f"Explained in :doc:`/{page}`.", ""]


def add_to_page(app, docname: str, source: list[str]) -> None:
    """Near a chapter's end, before its references if it has any: its part of the package.

    On the setup page: the recorded times.
    """
    if docname.startswith("notebooks/"):
        text, mark, references = source[0].partition("\n## References\n")
        source[0] = f"{text}\n{section(docname)}{mark}{references}"
    if docname == "book/setup":
        source[0] = source[0].replace("<!-- times -->", times_table())


def section(docname: str) -> str:
    """The links from a chapter to the reference, as MyST text."""
    files: dict[str, list[str]] = {}
    for name in used(ROOT / f"{docname}.md"):
        if name.startswith(EVERYWHERE):
            continue
        module, _, short = name.rpartition(".")
        files.setdefault(module, []).append(f"{{py:obj}}`{short} <{name}>`")
    lines = [f"- `{module}`: {', '.join(links)}" for module, links in sorted(files.items())]
    return "\n".join(["## In the package", "", "What this chapter's code calls:", "", *lines, ""])


def times_table() -> str:
    """The recorded times of all chapters, as a MyST table."""
    times = json.loads((ROOT / "book" / "results" / "times.json").read_text())
    lines = ["| chapter | `smoke` | `cpu` | `gpu` |", "| --- | --- | --- | --- |"]
    rows = {f"{{doc}}`/notebooks/{name}`": [runs] for name, runs in sorted(times.items())}
    for name, chapters in {**rows, "all": list(times.values())}.items():
        took = []
        for profile in ("smoke", "cpu", "gpu"):
            known = [runs[profile]["seconds"] for runs in chapters if profile in runs]
            took.append(in_words(sum(known)) if len(known) == len(chapters) else "-")
        lines.append(f"| {name} | {' | '.join(took)} |")
    runs = [run for chapter in times.values() for run in chapter.values()]
    devices = sorted({f"{ran_on(run)}, torch {run['torch']}, {run['date']}" for run in runs})
    return "\n".join([*lines, "", f"Measured on: {'; '.join(devices)}. A dash: not measured yet."])


def setup(app) -> dict:
    # After napoleon, which rewrites a docstring's sections.
    app.connect("autodoc-process-docstring", add_page, priority=900)
    app.connect("source-read", add_to_page)
    return {"version": "1", "parallel_read_safe": True}
