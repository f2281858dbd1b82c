"""Draw the README's picture, book/assets/stolen.svg, from the recorded results of the arena.

    python book/tools/picture.py             prints it
    python book/tools/picture.py --write     renews the file

A plain SVG: text, lines and circles, in the colours of the reader's light or dark screen.
"""

import argparse
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from queen_book.figures.landing import NAMES
from queen_ref.arena import read, summarise
from queen_ref.arena.report import worst_attacks

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "book" / "results" / "arena.jsonl"
PICTURE = ROOT / "book" / "assets" / "stolen.svg"
TOLD = ("ddae+", "bayes")  # thieves who know the answers that a defence hides

WIDTH, LEFT, RIGHT, TOP, STEP = 760, 200, 730, 122, 25
LOW, HIGH = 0.5, 1.0
RADIUS = {"all": 4, "some": 8}  # where both are the same, one stands inside the other
STYLE = """
  .back { fill: #ffffff } text { fill: #24292f; font: 14px system-ui, sans-serif }
  .head { font-size: 17px; font-weight: 600 } .small { font-size: 13px; fill: #57606a }
  .grid { stroke: #d0d7de } .victim { stroke: #57606a; stroke-dasharray: 5 4; stroke-width: 1.5 }
  .all { fill: #b3261e; stroke: #b3261e } .some { fill: none; stroke: #0550ae }
  .all, .some { stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9da7b3 }
    .grid { stroke: #30363d } .victim { stroke: #9da7b3 }
    .all { fill: #ff8a80; stroke: #ff8a80 } .some { stroke: #79c0ff }
  }
"""


def across(value: float) -> float:
    """Where a share of images stands on the page."""
    return LEFT + (RIGHT - LEFT) * (value - LOW) / (HIGH - LOW)


def words(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def dot(x: float, y: float, kind: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS[kind]}" class="{kind}"/>'


def mark(row: dict, y: float, kind: str) -> list[str]:
    """A dot for the mean over seeds, a whisker from the worst seed to the best."""
    mean, low, high = (across(row[f"substitute_accuracy{end}"]) for end in ("", "_min", "_max"))
    ends = [line(x, y - 4, x, y + 4, kind) for x in (low, high)]
    return [line(low, y, high, y, kind), *ends, dot(mean, y, kind)]


def drawing(rows: Sequence[dict]) -> str:
    """What the best thief steals under each defence, as SVG.

    Arguments: `rows`, of `queen_ref.arena.summarise`, of one profile, pool and policy.
    """
    everyone = {row["defense"]: row for row in worst_attacks(rows)}
    untold = {
        row["defense"]: row for row in worst_attacks([r for r in rows if r["attack"] not in TOLD])
    }
    names = [name for name in NAMES if name in everyone]
    low = min(row["substitute_accuracy"] for row in everyone.values())
    seeds = {row["seeds"] for row in rows}
    queries = {round(row["queries"]) for row in rows if row["attack"] == "naive"}
    share = f"{int(100 * low)} % of images or more"
    title = f"Under every defence some thief's copy is right on {share}"
    below = f"MNIST, {queries.pop()} queries; means of {seeds.pop()} seeds, whiskers: worst to best"
    foot = TOP + STEP * len(names)
    victim = across(rows[0]["victim_accuracy"])
    parts = [
        f'<rect width="{WIDTH}" height="{foot + 58}" class="back"/>',
        words(16, 30, title, "head"),
        words(16, 52, below, "small"),
        dot(24, 74, "all"),
        words(36, 79, "the best of all thieves"),
        dot(234, 74, "some"),
        words(248, 79, "the best of those not told the answers that the defence hides"),
        words(victim, TOP - 16, "the victim itself", "small", "middle"),
        line(victim, TOP - 10, victim, foot - 8, "victim"),
    ]
    for tick in range(50, 101, 10):
        x = across(tick / 100)
        parts += [
            line(x, TOP - 10, x, foot - 8, "grid"),
            words(x, foot + 10, f"{tick} %", "small", "middle"),
        ]
    parts.append(words((LEFT + RIGHT) / 2, foot + 36, "test images right", anchor="middle"))
    for number, name in enumerate(names):
        y = TOP + STEP * number + 5
        parts.append(words(LEFT - 14, y + 5, NAMES[name], anchor="end"))
        parts += mark(untold[name], y, "some") + mark(everyone[name], y, "all")
    told = "; ".join(
        f"{NAMES[name]} {everyone[name]['substitute_accuracy']:.3f} and "
        f"{untold[name]['substitute_accuracy']:.3f}"
        for name in names
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {foot + 58}" '
        f'width="{WIDTH}" height="{foot + 58}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{escape(title)}</title>\n'
        f'<desc id="desc">The best copy under each defence, of all thieves and of those who are '
        f"not told the answers it hides: {escape(told)}.</desc>\n"
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def recorded() -> str:
    """The picture of the recorded results, for the pool's own images."""
    rows = summarise(read(RESULTS))
    return drawing([row for row in rows if row["policy"] == "random" and row["profile"] == "cpu"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew book/assets/stolen.svg")
    if parser.parse_args().write:
        PICTURE.write_text(recorded(), encoding="utf-8")
        print(PICTURE)
    else:
        print(recorded(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
