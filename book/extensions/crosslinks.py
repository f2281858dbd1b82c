"""A Sphinx extension: the chapters and the API reference point at each other.

An entry of the reference names the page that explains it (`reference.py`). A chapter lists what its
code uses of the packages, read from its code cells, near its end. The setup page gets the recorded
times where it says `<!-- times -->`. Nothing of this is typed twice.
"""

import ast
import importlib
import inspect
import json
from pathlib import Path
from types import ModuleType

import jupytext
import reference
from IPython.core.inputtransformer2 import TransformerManager

from queen_book.chapter import ran_on
from queen_ref.progress import in_words

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("queen_ref", "queen_book")

# Every chapter draws and checks its parameters; its list is about the rest.
EVERYWHERE = (
    "queen_book.figures",
    "queen_book.chapter",
    "queen_book.claims",
    "queen_ref.plots",
    "queen_ref.arena.figures",
)


def entry(thing) -> str | None:
    """The name of a function or class of the packages, by the module that defines it.

    >>> entry(in_words), entry(json.dumps)
    ('queen_ref.progress.in_words', None)
    """
    ours = inspect.isfunction(thing) or inspect.isclass(thing)
    if ours and thing.__module__.partition(".")[0] in PACKAGES:
        return f"{thing.__module__}.{thing.__qualname__}"
    return None


def used(chapter: Path) -> list[str]:
    """What of the packages a chapter's code names, as entries of the reference.

    >>> "queen_ref.queen.defense.Queen" in used(ROOT / "notebooks" / "04_gradient_reverse.md")
    True
    """
    cells = [cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    # IPython's %pip is no Python.
    tree = ast.parse(TransformerManager().transform_cell("\n".join(cells)))
    names: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in PACKAGES:
                    names[alias.asname or alias.name] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGES):
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
    """The object of `name` or `module.name`; None for what is not the packages'."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        module = value(node.value, names)
        return getattr(module, node.attr, None) if isinstance(module, ModuleType) else None
    return None


def add_to_page(app, docname: str, source: list[str]) -> None:
    """Near a chapter's end, before its references if it has any: its part of the package.

    On the reference: the modules' entries. On the setup page: the recorded times.
    """
    if docname.startswith("notebooks/"):
        text, mark, references = source[0].partition("\n## References\n")
        source[0] = f"{text}\n{section(docname)}{mark}{references}"
    if docname == "book/api":
        source[0] = reference.MODULES.sub(reference.entries, source[0])
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
    measured = [p for p in ("smoke", "cpu", "gpu") if any(p in runs for runs in times.values())]
    lines = [f"| {' | '.join(['chapter', *(f'`{profile}`' for profile in measured)])} |",
             "| --- " * (1 + len(measured)) + "|"]  # fmt: skip
    rows = {f"{{doc}}`/notebooks/{name}`": [runs] for name, runs in sorted(times.items())}
    for name, chapters in {**rows, "all": list(times.values())}.items():
        took = []
        for profile in measured:
            known = [runs[profile]["seconds"] for runs in chapters if profile in runs]
            took.append(in_words(sum(known)) if len(known) == len(chapters) else "-")
        lines.append(f"| {name} | {' | '.join(took)} |")
    runs = [run for chapter in times.values() for run in chapter.values()]
    devices = sorted({f"{ran_on(run)}, torch {run['torch']}, {run['date']}" for run in runs})
    return "\n".join([*lines, "", f"Measured on: {'; '.join(devices)}. A dash, or no column: not "
                      "measured yet."])  # fmt: skip


def setup(app) -> dict:
    app.connect("autodoc-process-docstring", reference.set_apart)
    app.connect("autodoc-process-docstring", reference.add_page)
    app.connect("autodoc-skip-member", reference.leave_out)
    app.connect("source-read", add_to_page)
    return {"version": "1", "parallel_read_safe": True}
