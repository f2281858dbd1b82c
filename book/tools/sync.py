"""Bring each chapter's two files in line, NN_slug.md and NN_slug.ipynb, and clear the outputs.

    python book/tools/sync.py        what `make sync` does

The file that changed since the last commit wins, or, where neither did, the one committed later.
Where both changed, and say different things, nothing is written: one of them would be lost.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import jupytext
from jupytext.compare import NotebookDifference, compare_notebooks
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]


def equal(one: NotebookNode, other: NotebookNode) -> bool:
    """Do two notebooks say the same, outputs aside? Compared in what the text can hold."""
    try:
        compare_notebooks(one, other, fmt="md:myst", allow_expected_differences=True)
    except NotebookDifference:
        return False
    return True


def committed(path: Path) -> NotebookNode | None:
    """The notebook as the last commit has it; `None` where it has none."""
    # ./ makes git look beside the file, wherever the repository begins.
    command = ["git", "show", f"HEAD:./{path.name}"]
    done = subprocess.run(command, cwd=path.parent, capture_output=True)
    if done.returncode:
        return None
    fmt = "md:myst" if path.suffix == ".md" else "ipynb"
    return jupytext.reads(done.stdout.decode(), fmt)


def changed(path: Path) -> bool:
    """Does the file say something else than in the last commit? Outputs are no change."""
    before = committed(path)
    return before is None or not equal(before, jupytext.read(path))


def when_committed(path: Path) -> int:
    """When a commit changed the file last, in seconds; 0 where none did."""
    command = ["git", "log", "-1", "--format=%ct", "--", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    return int(done.stdout.strip() or 0)


def winner(text: Path, notebook: Path) -> Path | None:
    """The file of a pair that the other one follows; `None` where they agree.

    Errors: `ValueError` where both changed since the last commit and differ.
    """
    if not (text.exists() and notebook.exists()):
        return text if text.exists() else notebook
    if equal(jupytext.read(notebook), jupytext.read(text)):
        return None
    ours, theirs = changed(text), changed(notebook)
    if ours and theirs:
        raise ValueError(text.stem)
    later = ours if ours or theirs else when_committed(text) >= when_committed(notebook)
    return text if later else notebook


def sync(folder: Path) -> list[Path]:
    """Write the pairs of a folder that differ; returns the files that were followed.

    Errors: `ValueError` that names every pair of which both files changed; nothing is written.
    """
    found, torn = [], []
    for stem in sorted({path.stem for path in folder.glob("[0-9][0-9]_*.*")}):
        try:
            found.append(winner(folder / f"{stem}.md", folder / f"{stem}.ipynb"))
        except ValueError as error:
            torn.append(str(error))
    if torn:
        raise ValueError(
            f"{', '.join(torn)}: .md and .ipynb both changed since the last commit and differ; "
            "nothing was written. Put one of them back (git checkout HEAD -- FILE), then again"
        )
    follow = [path for path in found if path]
    for path in follow:
        os.utime(path)  # jupytext takes the newer one
        python("jupytext", "--quiet", "--sync", path)
    notebooks = sorted(folder.glob("*.ipynb"))
    python("nbconvert", "--clear-output", "--inplace", "--log-level=WARN", *notebooks)
    return follow


def python(module: str, *options: str | Path) -> None:
    subprocess.run([sys.executable, "-m", module, *options], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "notebooks")
    try:
        follow = sync(parser.parse_args().folder.resolve())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for path in follow:
        print(f"{path.stem}: the other file now follows {path.suffix}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
