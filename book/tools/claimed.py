"""What the chapters claim, read from their cells, and how far each bound lies from the record.

The chapters hold numbers against bounds (book/queen_book/claims.py), book/tools/seeds.py
records the numbers over seeds and thread counts. Here the two meet: a bound has
room when it lies outside of the recorded range by that range once more.
"""

import ast
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import jupytext
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parents[2]
ROOM = 1.0  # recorded ranges between what was recorded and a bound


@dataclass(frozen=True)
class Claim:
    """One name in one chapter, with its bounds (None: no bound on that side).

    `code` is a hash of the name and of the expression that is held against the bounds.
    """

    chapter: str
    name: str
    above: float | None
    below: float | None
    code: str = ""


def chapters(root: Path = ROOT) -> list[Path]:
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.md"))


def code(chapter: Path) -> str:
    """All code cells of a chapter as one program, IPython's own lines in Python."""
    cells = [cell.source for cell in jupytext.read(chapter).cells if cell.cell_type == "code"]
    return TransformerManager().transform_cell("\n".join(cells))


def is_claim(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim"


def claims_in(chapter: Path) -> list[Claim]:
    """Every claim of a chapter, in order.

    Raises:
        ValueError: a name or a bound that is not written out, or a name that is used twice: what
            was recorded under it would be two things.
    """
    found = []
    for node in ast.walk(ast.parse(code(chapter))):
        if is_claim(node):
            try:
                name = ast.literal_eval(node.args[0])
                bounds = {key.arg: ast.literal_eval(key.value) for key in node.keywords}
            except ValueError:
                raise ValueError(
                    f"{chapter.stem}: expected a name and bounds that are written out, "
                    f"got {ast.unparse(node)}"
                ) from None
            digest = hashlib.sha256("\0".join(map(ast.unparse, node.args)).encode())
            found.append(Claim(chapter.stem, name, bounds.get("above"), bounds.get("below"),
                               digest.hexdigest()[:8]))  # fmt: skip
    names = [claim.name for claim in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{chapter.stem}: expected one place a claim, {min(twice)!r} has two")
    return found


class _Numbers(ast.NodeTransformer):
    """Drop what decides no number: docstrings, alt texts and claims."""

    def visit_Expr(self, node):
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text or is_claim(node.value) else self.generic_visit(node)

    def visit_Call(self, node):
        node.keywords = [word for word in node.keywords if word.arg != "alt"]
        return self.generic_visit(node)


def meaning(source: str) -> str:
    """Code without comments, layout, docstrings, alt texts and claims.

    >>> meaning("x = 1  # so far\\nclaim('x', x, below=2)") == meaning("x = 1")
    True
    """
    return ast.unparse(_Numbers().visit(ast.parse(source)))


def key(chapter: Path, root: Path = ROOT) -> str:
    """Hash of all code that decides a chapter's numbers: its own and the package's.

    The claims only look at the numbers; each has a hash of its own (`Claim.code`). So a claim
    that goes, or gets another bound, costs no new run.
    """
    digest = hashlib.sha256(meaning(code(chapter)).encode())
    for path in sorted((root / "queen_ref").rglob("*.py")):
        digest.update(f"\0{path.relative_to(root)}\0{meaning(path.read_text())}".encode())
    return digest.hexdigest()[:12]


def room(claim: Claim, runs: list[dict]) -> float:
    """Distance from what was recorded to the nearer bound, in recorded ranges.

    Infinite where all runs agree and the bound holds; negative where it does not; NaN where
    nothing is recorded.

    >>> runs = [{"chapter": "x", "claims": {"a": [low, low]}} for low in (0.4, 0.5)]
    >>> round(room(Claim("x", "a", 0.2, None), runs), 9)
    2.0
    """
    held = [run["claims"][claim.name] for run in runs
            if run["chapter"] == claim.chapter and claim.name in run["claims"]]  # fmt: skip
    if not held:
        return math.nan
    lows, highs = zip(*held, strict=True)
    rooms = [math.inf]
    if claim.above is not None:
        rooms.append(_ratio(min(lows) - claim.above, max(lows) - min(lows)))
    if claim.below is not None:
        rooms.append(_ratio(claim.below - max(highs), max(highs) - min(highs)))
    return min(rooms)


def _ratio(distance: float, spread: float) -> float:
    if spread == 0 or not math.isfinite(distance):  # "never" is recorded as infinity
        return math.inf if distance > 0 else -math.inf
    return distance / spread
