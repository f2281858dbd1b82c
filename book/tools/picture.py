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
from queen_ref.arena import read
from queen_ref.arena.verdict import Difference, Verdict, verdicts

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "book" / "results" / "arena.jsonl"
PICTURE = ROOT / "book" / "assets" / "stolen.svg"
QUESTIONS = "1000"  # of an honest client
CONTROLS = ("none", "none-oe")
SEEDS = (0, 1, 2)  # of every row the same

WIDTH, LEFT, RIGHT, TOP, STEP = 760, 200, 730, 122, 25
LOW, HIGH, TICK = -60, 10, 10  # points
STYLE = """
  .back { fill: #ffffff } text { fill: #24292f; font: 14px system-ui, sans-serif }
  .head { font-size: 17px; font-weight: 600 } .small { font-size: 13px; fill: #57606a }
  .grid { stroke: #d0d7de } .free { stroke: #57606a; stroke-dasharray: 5 4; stroke-width: 1.5 }
  .best { fill: #b3261e; stroke: #b3261e } .ordinary { fill: none; stroke: #57606a }
  .honest { fill: #0550ae; stroke: #0550ae } .best, .ordinary, .honest { stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9da7b3 }
    .grid { stroke: #30363d } .free { stroke: #9da7b3 }
    .best { fill: #ff8a80; stroke: #ff8a80 } .ordinary { stroke: #9da7b3 }
    .honest { fill: #79c0ff; stroke: #79c0ff }
  }
"""


def across(points: float) -> float:
    """Where a difference to no defence stands on the page."""
    return LEFT + (RIGHT - LEFT) * (points - LOW) / (HIGH - LOW)


def words(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def dot(x: float, y: float, kind: str) -> str:
    if kind == "honest":
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" class="{kind}"/>'
    radius = 4 if kind == "best" else 8  # where both are the same, one stands inside the other
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}"/>'


def mark(one: Difference, y: float, kind: str) -> list[str]:
    """A dot for the mean over seeds, a whisker from the worst seed to the best."""
    mean, low, high = (across(100 * value) for value in (one.mean, one.low, one.high))
    ends = [line(x, y - 4, x, y + 4, kind) for x in (low, high)]
    return [line(low, y, high, y, kind), *ends, dot(mean, y, kind)]


def drawing(rows: Sequence[Verdict]) -> str:
    """What the best thief and honest clients lose under each defence, as SVG.

    Arguments: `rows`, of `queen_ref.arena.verdict.verdicts`, without `none`.
    """
    ordered = sorted(rows, key=lambda one: one.honest[QUESTIONS].mean)
    most = max(-100 * one.best.mean for one in rows)
    bound = int(most) + 1
    title = (
        f"No best thief loses {bound} point{'s' * (bound > 1)}; strict QUEEN halves honest answers"
    )
    foot = TOP + STEP * len(ordered)
    free = across(0)
    parts = [
        f'<rect width="{WIDTH}" height="{foot + 58}" class="back"/>',
        words(16, 30, title, "head"),
        words(
            16, 52, "MNIST, 1500 queries; means of three seeds, whiskers: worst to best", "small"
        ),
        dot(24, 74, "best"),
        words(36, 79, "the best of all thieves"),
        dot(214, 74, "ordinary"),
        words(228, 79, "the best who does not look"),
        dot(440, 74, "honest"),
        words(452, 79, f"honest client of {QUESTIONS} questions"),
        words(free, TOP - 16, "no defence", "small", "middle"),
        line(free, TOP - 10, free, foot - 8, "free"),
    ]
    for tick in range(LOW, HIGH + 1, TICK):
        x = across(tick)
        parts += [
            line(x, TOP - 10, x, foot - 8, "grid"),
            words(x, foot + 10, f"{tick:+d}" if tick else "0", "small", "middle"),
        ]
    below = "points of accuracy, more or less than without a defence"
    parts.append(words((LEFT + RIGHT) / 2, foot + 36, below, anchor="middle"))
    for number, one in enumerate(ordered):
        y = TOP + STEP * number + 5
        parts.append(words(LEFT - 14, y + 5, NAMES[one.defense], anchor="end"))
        parts += mark(one.honest[QUESTIONS], y, "honest")
        parts += mark(one.thieves["ordinary"], y, "ordinary") + mark(one.best, y, "best")
    told = "; ".join(
        f"{NAMES[one.defense]} {100 * one.best.mean:+.1f}, "
        f"{100 * one.thieves['ordinary'].mean:+.1f}, {100 * one.honest[QUESTIONS].mean:+.1f}"
        for one in ordered
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {foot + 58}" '
        f'width="{WIDTH}" height="{foot + 58}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{escape(title)}</title>\n'
        f'<desc id="desc">Points more or less than without a defence, of the best thief, of the '
        f"best who does not look, of an honest client: {escape(told)}.</desc>\n"
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def found() -> list[Verdict]:
    """The verdicts of the recorded results, for the pool of the victim's own kind."""
    lines = [one for one in read(RESULTS) if one["seed"] in SEEDS]
    every = verdicts(lines)
    return [one for one in every if one.defense in NAMES and one.defense not in CONTROLS]


def recorded() -> str:
    """The picture of the recorded results."""
    return drawing(found())


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
