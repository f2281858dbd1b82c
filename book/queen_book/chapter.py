"""What every chapter does: check its parameters, say what it runs on, show its figures."""

from __future__ import annotations

import ast
import html
import json
import os
import re
import tempfile
import urllib.request
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch

from queen_ref.cache import write_whole
from queen_ref.progress import in_words

PROFILES = ("smoke", "cpu", "gpu")
RESULTS = "https://raw.githubusercontent.com/queen-ref/queen-ref/main/book/results"


def check_parameters(profile: str, seed: int, also: Sequence[str] = ()) -> None:
    """Refuse a profile or a seed that the notebook does not know, before anything runs.

    Arguments: `profile`, ``"smoke"``, ``"cpu"`` or ``"gpu"``, or one that it has `also`; `seed`, an
    integer from 0 up. Errors: `ValueError` for either being something else, and for a name that
    papermill was given and the notebook does not have.

    >>> check_parameters(profile="cpu", seed=0)
    """
    if profile not in (known := (*PROFILES, *also)):
        raise ValueError(f"expected profile to be one of {', '.join(known)}; got {profile!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"expected seed to be an integer from 0 up; got {seed!r}")
    names, given = parameters()
    if not given <= names:
        odd, words = ", ".join(sorted(given - names)), ", ".join(sorted(names))
        raise ValueError(f"expected parameters among {words}; got {odd}")


def parameters() -> tuple[set[str], set[str]]:
    """The names in a notebook's parameters cell, and those that papermill set after it.

    Papermill only warns of a name that it does not find there, ``-p profil smoke``, and the
    notebook would run on its default. It writes a cell of its own directly behind that one. Both
    are empty where papermill runs nothing.

    >>> parameters()
    (set(), set())
    """
    try:
        from IPython import get_ipython  # optional: only a notebook needs it
    except ImportError:
        return set(), set()
    shell = get_ipython()
    cells = [] if shell is None else shell.user_ns.get("In", [])
    for above, cell in pairwise(cells):
        if cell.startswith("# Parameters\n"):
            return assigned(above), assigned(cell)
    return set(), set()


def assigned(code: str) -> set[str]:
    """The names that a cell gives a value.

    >>> sorted(assigned("profile = 'cpu'; seed = 0"))
    ['profile', 'seed']
    """
    found = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name))
    return {name.id for name in found if isinstance(name.ctx, ast.Store)}


def running_line(profile: str, seed: int, chapter: str, also: Sequence[str] = ()) -> None:
    """Print the device, the settings, what the chapter took, and how to switch to a GPU.

    Arguments: `profile`, `seed` and `also`, as for `check_parameters`; `chapter`, the notebook's
    name without its ending. Its times are those recorded in ``book/results/times.json`` by
    ``make times``. Errors: `ValueError` for a wrong profile or seed.

    >>> running_line("cpu", 0, "04_gradient_reverse")
    CPU, ... | torch ... | profile cpu | seed 0
    Measured: smoke ... s on CPU, ... threads
              cpu ...
    ...
    """
    check_parameters(profile, seed, also)
    print(f"{device_name()} | torch {torch.__version__} | profile {profile} | seed {seed}")
    print("Measured:", measured(chapter).replace("; ", "\n          ") + ".")
    if not torch.cuda.is_available():
        print("No GPU: the profile cpu is made for that. To have one on Colab: Runtime,")
        print('Change runtime type, bring the data (see Setup), and set profile = "gpu".')


def device_name() -> str:
    """The GPU's name, or the number of threads PyTorch uses on the CPU.

    >>> device_name()
    'CPU, ... thread...'
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def measured(chapter: str) -> str:
    """What a chapter took in each profile, as recorded; in words where nothing is.

    >>> measured("04_gradient_reverse")
    'smoke ... s on CPU, ... threads; cpu ...; gpu not measured yet'
    >>> measured("00_of_another_book")
    'smoke not measured yet; cpu not measured yet; gpu not measured yet'
    """
    try:
        times = json.loads(recorded("times.json").read_text()).get(chapter, {})
    except ValueError:  # only the package is here, and no network
        times = {}
    lines = []
    for profile in PROFILES:
        run = times.get(profile)
        known = run and f"{in_words(run['seconds'])} on {ran_on(run)}"
        lines.append(f"{profile} {known or 'not measured yet'}")
    return "; ".join(lines)


def ran_on(run: dict) -> str:
    """A recorded run's device, and how many chapters shared it.

    >>> ran_on({"device": "CPU, 2 threads"})
    'CPU, 2 threads'
    """
    many = run.get("at_once", 1)
    return run["device"] + (f", {many} chapters at once" if many > 1 else "")


def recorded(name: str) -> Path:
    """Path of a results file that this repository has checked in.

    Where only the package is installed (Colab, for example) the file is fetched once. Arguments:
    `name`, a file in ``book/results``. Errors: `ValueError` if there is none, and it cannot be
    fetched either.

    >>> recorded("arena.jsonl").name
    'arena.jsonl'
    """
    path = Path(__file__).resolve().parents[1] / "results" / name
    if path.is_file():
        return path
    copy = Path(tempfile.gettempdir()) / f"queen-ref-{name}"
    if not copy.is_file():
        try:
            with urllib.request.urlopen(f"{RESULTS}/{name}", timeout=20) as answer:
                write_whole(copy, answer.read())
        except OSError as error:
            raise ValueError(f"expected recorded results at {path}, found none ({error})") from None
    return copy


def show(fig, name: str, alt: str):
    """Show a figure: in the built book as HTML that needs no kernel, elsewhere by ``fig.show()``.

    Make it the last line of a cell. Arguments: `fig`, a plotly figure with at least one trace;
    `name`, unique in the book, of the letters a-z, digits and ``-``; `alt`, what the figure shows,
    for readers who cannot see it, at least 20 characters. Returns an `IPython.display.HTML` in the
    built book (``QUEEN_BOOK=1``), otherwise None. Errors: `ValueError` for a bad name, a missing or
    tiny alt text, or a figure without traces.

    >>> fig = plots.figure().add_scatter(x=[1, 2], y=[0.5, 0.8])
    >>> show(fig, "accuracy", alt="Accuracy rises from 0.5 to 0.8 with the queries.")
    """
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"expected a name of a-z, 0-9 and -, got {name!r}")
    if len(alt.strip()) < 20:
        raise ValueError(f"expected an alt text of at least 20 characters, got {alt!r}")
    if not fig.data:
        raise ValueError(f"figure {name!r} has no traces: there is nothing to show")
    if os.environ.get("QUEEN_BOOK") != "1":
        fig.show()
        return None
    from IPython.display import HTML  # optional: only a notebook needs it

    body = fig.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"fig-{name}",
        auto_play=False,
        # Two buttons: the full row of them lies over a legend above the plot.
        config={
            "displaylogo": False,
            "displayModeBar": "hover",
            "modeBarButtons": [["toImage", "resetScale2d"]],
            "responsive": True,
        },
    )
    label = html.escape(alt.strip(), quote=True)
    # Not "img": a screen reader takes that as one picture, and controls must not be inside one.
    return HTML(f'<figure class="qr-figure" role="group" aria-label="{label}">{body}</figure>')
