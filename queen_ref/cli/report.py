"""`queen-ref report`: tables and figures of a results file."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from queen_ref.arena.figures import plot_heat_map, plot_pareto
from queen_ref.arena.report import summarise, to_csv, with_labels
from queen_ref.arena.results import read
from queen_ref.arena.tables import to_markdown
from queen_ref.cli.options import Argument, Option


def run_report(
    results: Annotated[Path, Argument(help="What `queen-ref arena` wrote")],
    out: Annotated[
        Path | None, Option(help="Folder for report.md, report.csv and figures (HTML)")
    ] = None,
    csv: Annotated[bool, Option("--csv", help="CSV on stdout, not Markdown")] = False,
) -> int:
    """Mean and spread over seeds: Markdown, CSV, figures.

    Without a folder `out` a table is printed.
    Errors: `ValueError` for a file that holds no results, and a folder that cannot be written.

    >>> run_report(Path("arena.jsonl"), csv=True)
    profile,pool,policy,attack,defense,seeds,...
    0
    """
    if csv and out:
        raise ValueError("csv: expected --csv or --out, got both; --out writes the CSV too")
    rows = summarise(read(results))
    if out is None:
        text = to_csv(rows) if csv else to_markdown(with_labels(rows))
        print(shown(text, getattr(sys.stdout, "encoding", None)), end="")
        return 0
    whole = with_labels(rows)
    pages = {"report.md": to_markdown(whole), "report.csv": to_csv(rows), **_figures(whole)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"out: cannot write to {out} ({error.strerror})") from None
    print(f"{out}: {', '.join(pages)}")
    return 0


def shown(text: str, encoding: str | None) -> str:
    """The text, with +- where a terminal has no ±.

    >>> shown("0.8 ± 0.1", "ascii")
    '0.8 +- 0.1'
    """
    try:
        "±".encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return text.replace("±", "+-")
    return text


def _figures(rows: Sequence[dict]) -> dict[str, str]:
    """Names and texts of the pages with figures, for each profile and pool."""
    try:
        import plotly  # noqa: F401  # optional: only figures need it
    except ImportError:
        raise ValueError("plotly is not installed; pip install 'queen-ref[arena]'") from None
    pages = {}
    pairs = dict.fromkeys((row["profile"], row["pool"]) for row in rows)
    for profile, pool in pairs:
        mine = [row for row in rows if (row["profile"], row["pool"]) == (profile, pool)]
        figures = {"pareto": plot_pareto(mine)}
        for policy in dict.fromkeys(row["policy"] for row in mine):
            chosen = [row for row in mine if row["policy"] == policy]
            figures[f"heat-map-{policy}"] = plot_heat_map(chosen)
        where = "" if len(pairs) == 1 else f"{profile}-{pool}-"
        for name, figure in figures.items():
            # With plotly inside: the page needs no network.
            pages[f"{where}{name}.html"] = figure.to_html(include_plotlyjs=True)
    return pages
