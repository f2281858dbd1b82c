"""Each chapter has two files, NN_slug.md and NN_slug.ipynb, that say the same."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from pairs import TEXT, check_pair, check_parameters

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
STEMS = sorted({p.stem for p in FOLDER.glob("[0-9][0-9]_*.*")})


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
