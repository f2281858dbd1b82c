"""Every notebook runs from top to bottom in the profile `smoke`, and refuses a wrong profile."""

import time
from pathlib import Path

import jupytext
import papermill as pm
import pytest
from folders import folders

from queen_ref.arena import read

pytestmark = pytest.mark.notebook

NOTEBOOKS = sorted(Path(__file__).resolve().parents[2].glob("notebooks/[0-9][0-9]_*.md"))


@pytest.fixture(autouse=True)
def light_figures(monkeypatch):
    """Plotly's default output repeats its whole script in every figure."""
    monkeypatch.setenv("PLOTLY_RENDERER", "plotly_mimetype")
    monkeypatch.delenv("QUEEN_BOOK", raising=False)


def run(path: Path, cwd: Path, **parameters) -> dict:
    """Execute with these parameters in an empty folder; the run time is the test's."""
    notebook = jupytext.read(path)
    known = pm.inspect_notebook(notebook)
    unknown = set(parameters) - set(known)
    # Papermill only logs an unknown parameter, and the notebook runs on its default.
    if unknown:
        raise ValueError(f"{path.name} has no parameter {', '.join(sorted(unknown))}")
    return pm.execute_notebook(
        notebook,
        None,
        parameters=parameters,
        kernel_name="python3",
        cwd=cwd,
        progress_bar=False,
        execution_timeout=3600,
        start_timeout=600,
    )


def test_there_are_notebooks():
    assert NOTEBOOKS, "no notebooks/NN_*.md found"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_in_the_smoke_profile(path, tmp_path, record_property):
    start = time.perf_counter()
    run(path, tmp_path, profile="smoke", seed=0)
    record_property("seconds", round(time.perf_counter() - start, 1))
    left = [p.name for p in tmp_path.iterdir()]
    assert not left, f"{path.name} left files where it ran: {left}"


def test_another_seed_runs_too(tmp_path):
    """One chapter here; `make seeds` runs all of them with ten seeds."""
    path = next(path for path in NOTEBOOKS if path.stem.startswith("05"))
    done = run(path, tmp_path, profile="smoke", seed=1)
    assert done["metadata"]["papermill"]["parameters"] == {"profile": "smoke", "seed": 1}
    assert done["metadata"]["papermill"]["exception"] is None


def test_photographs_are_measured_where_they_are(tmp_path, monkeypatch):
    """Chapter 9 on a few generated images, in the layout of CIFAR-10 and Tiny ImageNet."""
    for split in ("train", "test"):
        folders(tmp_path / "data" / "cifar10" / split, 10, each=7)
    folders(tmp_path / "data" / "tiny-imagenet-200" / "train", 200, word="n{:08}/images")
    monkeypatch.setenv("QUEEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "cache"))
    path = next(path for path in NOTEBOOKS if path.stem.startswith("09"))
    run(path, tmp_path, profile="photos", limit=64, out="mine.jsonl")
    measured = read(tmp_path / "mine.jsonl")
    assert {line["defense"] for line in measured} == {"none", "queen", "queen-strict"}
    assert all(line["limit"] == 64 and line["profile"] == "photos" for line in measured)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_refuses_a_wrong_profile_early(path, tmp_path):
    with pytest.raises(pm.PapermillExecutionError) as caught:
        run(path, tmp_path, profile="nonsense")
    assert caught.value.ename == "ValueError"
    assert "profile" in caught.value.evalue
    assert caught.value.exec_count <= 4, "the parameters are checked too late"


def test_an_unknown_parameter_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no parameter profil$"):
        run(NOTEBOOKS[0], tmp_path, profil="smoke")


def test_a_reader_who_mistypes_a_parameter_is_stopped_by_the_chapter(tmp_path):
    """As `papermill -p profil smoke` from a shell, which itself only warns."""
    with pytest.raises(pm.PapermillExecutionError) as caught:
        pm.execute_notebook(
            jupytext.read(NOTEBOOKS[0]),
            None,
            parameters={"profil": "smoke"},
            kernel_name="python3",
            cwd=tmp_path,
            progress_bar=False,
            start_timeout=600,
        )
    assert caught.value.evalue == "expected parameters among profile, seed; got profil"
