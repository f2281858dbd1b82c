"""Each chapter has two files, NN_slug.md and NN_slug.ipynb, that say the same."""

import ast
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.compare import NotebookDifference, compare_notebooks

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
STEMS = sorted({p.stem for p in FOLDER.glob("[0-9][0-9]_*.*")})

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


@pytest.mark.parametrize("stem", STEMS)
def test_pair_is_in_sync(stem):
    check_pair(FOLDER / f"{stem}.md")


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "00_x.md"
    path.write_text(TEXT)
    jupytext.write(jupytext.read(path), path.with_suffix(".ipynb"))
    check_pair(path)
    return path


def test_missing_partner_is_found(pair):
    pair.with_suffix(".ipynb").unlink()
    with pytest.raises(AssertionError, match="missing"):
        check_pair(pair)


@pytest.mark.parametrize(
    "old, new",
    [
        ("# Title", "# Another title"),
        ("print(profile)", "print(seed)"),
        (":tags: [parameters]", ":tags: [parameters, hide-input]"),
        ("display_name: Python 3", "display_name: Another"),
        ("```{code-cell} ipython3\nprint(profile)\n```\n", ""),
    ],
)
def test_drift_in_the_text_is_found(pair, old, new):
    assert old in TEXT
    pair.write_text(TEXT.replace(old, new))
    with pytest.raises(AssertionError, match="differs"):
        check_pair(pair)


def test_output_is_found(pair):
    path = pair.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="cpu\n")]
    nbformat.write(notebook, path)
    with pytest.raises(AssertionError, match="outputs"):
        check_pair(pair)


@pytest.mark.parametrize(
    "source",
    [
        'profile = "smoke"\nseed = 0',
        'profile = "cpu"',
        'profile = "cpu"\nseed = 0\nsteps = 2 * seed',
        'profile = "cpu"\nseed = 0\nprint(seed)',
    ],
)
def test_bad_parameters_are_found(source):
    tagged = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    with pytest.raises(AssertionError):
        check_parameters(nbformat.v4.new_notebook(cells=[tagged]))


def test_parameters_must_be_one_cell():
    def notebook(count):
        tagged = {"tags": ["parameters"]}
        cells = [nbformat.v4.new_code_cell("seed = 0", metadata=tagged) for _ in range(count)]
        return nbformat.v4.new_notebook(cells=cells)

    for count in (0, 2):
        with pytest.raises(AssertionError, match=f"found {count}"):
            check_parameters(notebook(count))
