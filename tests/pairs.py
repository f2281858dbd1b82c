"""What a chapter's two files must be, and a chapter to try it on. Not a test module."""

import ast
from pathlib import Path

import jupytext
import nbformat
from jupytext.compare import NotebookDifference, compare_notebooks

TEXT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Title

```{code-cell} ipython3
:tags: [parameters]

profile = "cpu"
seed = 0
```

```{code-cell} ipython3
print(profile)
```
"""


def check_pair(markdown: Path) -> None:
    """Raise AssertionError with what is wrong with a chapter's two files."""
    pair = markdown.with_suffix(".ipynb")
    assert markdown.is_file(), f"{markdown.name} is missing: run make sync"
    assert pair.is_file(), f"{pair.name} is missing: run make sync"
    text, notebook = jupytext.read(markdown), nbformat.read(pair, as_version=4)
    nbformat.validate(notebook)
    try:
        # In the text's format: an .ipynb also holds what the text cannot.
        compare_notebooks(notebook, text, fmt="md:myst", allow_expected_differences=True)
    except NotebookDifference as difference:
        raise AssertionError(f"{pair.name} differs: run make sync\n{difference}") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            empty = not cell.outputs and cell.execution_count is None
            assert empty, f"{pair.name} holds outputs: run make sync"
    check_parameters(text)


def check_parameters(notebook) -> None:
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(cells) == 1, f"expected one cell tagged parameters, found {len(cells)}"
    values = {}
    for line in ast.parse(cells[0].source).body:
        plain = isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
        assert plain, f"not a plain assignment: {ast.unparse(line)}"
        try:
            values[line.targets[0].id] = ast.literal_eval(line.value)
        except ValueError:
            # Papermill does not compute derived values anew.
            raise AssertionError(f"not a plain literal: {ast.unparse(line)}") from None
    assert values.get("profile") == "cpu", "the default profile must be cpu"
    assert isinstance(values.get("seed"), int), "there must be an integer seed"
