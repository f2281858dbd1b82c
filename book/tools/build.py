"""Build the book: execute the notebooks (profile cpu) and write _build/html.

    python book/tools/build.py                            the book
    python book/tools/build.py --page notebooks/03_x      one page, into _build/page, for its author

In the book a warning is an error.
"""

import argparse
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from side_by_side import run_all

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"


def key() -> str:
    """Hash of what the notebooks' results depend on beside their own text.

    jupyter-cache only looks at a notebook's cells, not at what they import or read.
    """
    digest = hashlib.sha256(platform.python_version().encode())
    packages = (ROOT / "queen_ref", ROOT / "book" / "queen_book")
    files = [ROOT / "requirements.lock", *(p for home in packages for p in home.rglob("*.py"))]
    # A recorded spread decides nothing on a page: it is quoted when a claim fails, and then there
    # is no page.
    results = (ROOT / "book" / "results").rglob("*")
    files += [p for p in results if p.is_file() and p.name != "seeds.jsonl"]
    for path in sorted(files):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def forget_stale_results() -> None:
    stamp, now = BUILD / ".key", key()
    if stamp.exists() and stamp.read_text() == now:
        return
    for name in (".jupyter_cache", ".doctrees", "html", "jupyter_execute", "page"):
        shutil.rmtree(BUILD / name, ignore_errors=True)
    BUILD.mkdir(exist_ok=True)
    stamp.write_text(now)


def write_plotly() -> None:
    from plotly.offline import get_plotlyjs

    path, text = ROOT / "book" / "assets" / "plotly.min.js", get_plotlyjs()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_profile() -> None:
    """IPython's settings for the kernels, in place of the user's, whose startup files may do much.

    They warn that their connection is not encrypted. It never leaves this machine.
    """
    folder = BUILD / "ipython" / "profile_default"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 40\n")


def environment() -> dict[str, str]:
    # Progress bars are for those who wait: in a page they leave empty boxes.
    env = dict(os.environ, QUEEN_BOOK="1", PYTHONHASHSEED="0", TQDM_DISABLE="1")
    env["QUEEN_CLAIMS"] = "strict"  # a page must not say what its own run does not bear out
    env["IPYTHONDIR"] = str(BUILD / "ipython")
    # One thread a notebook, for they run side by side, and the same number everywhere:
    # floating-point sums depend on it.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        env.setdefault(name, "1")
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True
    )
    if commit.returncode == 0:
        # The date in the footer is that of the text, not of the build.
        env.setdefault("SOURCE_DATE_EPOCH", commit.stdout.strip())
    return env


def execute_notebooks() -> list[str]:
    """Fill the cache, one notebook a core, the longest first. Sphinx would take one after another.

    Returns the chapters that failed, after saying where and why.
    """
    times = json.loads((ROOT / "book" / "results" / "times.json").read_text())
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md"))
    paths.sort(key=lambda p: -times.get(p.stem, {}).get("cpu", {}).get("seconds", 0))
    cache = open_cache()
    for record in cache.list_project_records():
        cache.remove_nb_from_project(record.pk)  # or a notebook that is gone would be missed
    for path in paths:
        cache.add_nb_to_project(str(path), read_data={"name": "myst_nb_md", "type": "plugin"})
    due = {Path(record.uri) for record in cache.list_unexecuted()}
    paths = [path for path in paths if path in due]
    if paths:
        seconds = sum(times.get(p.stem, {}).get("cpu", {}).get("seconds", 60) for p in paths)
        print(f"Chapters to run: {len(paths)}, {os.cpu_count()} at a time. "
              f"Alone they took {seconds / 60:.0f} minutes together, see the setup page",
              flush=True)  # fmt: skip
    return run_all(execute, paths, os.cpu_count() or 1)


def settings() -> dict:
    return yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]


def open_cache():
    from jupyter_cache import get_cache

    return get_cache(ROOT / settings()["cache"])


def execute(path: Path) -> bool:
    """Run one notebook that waits in the cache; say where it stopped, if it did."""
    from jupyter_cache.executors import load_executor

    cache = open_cache()
    log = logging.getLogger("notebooks")
    log.setLevel(logging.CRITICAL)  # a failed cell is reported below, once
    executor = load_executor("temp-serial", cache, log)
    done = executor.run_and_cache(filter_uris=[str(path)], timeout=settings()["timeout"])
    if not done.succeeded:
        print(f"{path.stem}: FAILED\n{why(cache.get_project_record(str(path)).traceback)}",
              file=sys.stderr, flush=True)  # fmt: skip
        return False
    return True


def why(trace: str | None) -> str:
    """What the kernel said, without colours and without the frames of those who ran the kernel.

    >>> why("our frames\\n------\\nassert x\\n------\\n\\n\\x1b[31mAssertionError\\x1b[0m: 0.2")
    'AssertionError: 0.2'
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", trace or "no reason given")
    return re.split(r"^-{6,}$", plain, flags=re.MULTILINE)[-1].strip()


def jupyter_book(*options: str) -> int:
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, *options]
    # jupyter-book looks for extensions beside the settings, which may be elsewhere.
    ours = str(ROOT / "book" / "extensions")
    path = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH")]))
    return subprocess.run(command, cwd=ROOT, env=dict(os.environ, PYTHONPATH=path)).returncode


def build_book() -> int:
    if failed := execute_notebooks():
        print(f"The book was NOT built: {', '.join(failed)} failed, see above and "
              "'When something fails' in book/setup.md.", file=sys.stderr)  # fmt: skip
        return 1
    code = jupyter_book("-n", "-W", "--keep-going")
    if code:
        # Sphinx remembers pages it has read and would not repeat their warnings next time.
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        # Nobody should serve or test rejected pages by mistake; their author may look at them.
        shutil.rmtree(BUILD / "rejected", ignore_errors=True)
        if (BUILD / "html").exists():
            (BUILD / "html").rename(BUILD / "rejected")
            print(f"The pages as far as they came: {BUILD / 'rejected'}", file=sys.stderr)
        print("The book was NOT built: see the warnings above.", file=sys.stderr)
        return code
    print("Open", BUILD / "html" / "index.html")
    return 0


def build_page(name: str) -> int:
    name = name.removesuffix(".md")
    if not (ROOT / f"{name}.md").is_file():
        print("expected a page, for example notebooks/03_sensitivity, got "
              f"{name!r}", file=sys.stderr)  # fmt: skip
        return 2
    out = BUILD / "page" / Path(name).name
    out.mkdir(parents=True, exist_ok=True)
    toc, config = out / "_toc.yml", out / "_config.yml"
    toc.write_text(f"format: jb-book\nroot: {name}\n")
    # Links to the pages left out cannot resolve, so warnings are not errors here.
    text = (ROOT / "_config.yml").read_text()
    config.write_text(text.replace("only_build_toc_files: false", "only_build_toc_files: true"))
    code = jupyter_book("--toc", str(toc), "--config", str(config), "--path-output", str(out))
    print(out / "_build" / "html" / f"{name}.html")
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", help="build only this page, for example notebooks/03_sensitivity")
    page = parser.parse_args().page
    forget_stale_results()
    write_plotly()
    write_profile()
    os.environ.update(environment())
    return build_book() if page is None else build_page(page)


if __name__ == "__main__":
    sys.exit(main())
