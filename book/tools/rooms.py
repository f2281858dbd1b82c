"""The rooms of `queen_ref` and the arrows between them, for the map in CONTRIBUTING.md.

    python book/tools/rooms.py             prints the map
    python book/tools/rooms.py --write     renews the block in CONTRIBUTING.md

A room is a folder or a file at the package's top level. An arrow says that one imports the other;
what follows from other arrows is left out.
"""

import argparse
import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "queen_ref"
PAGE = ROOT / "CONTRIBUTING.md"
BLOCK = re.compile(r"(<!-- rooms -->\n).*?(\n<!-- /rooms -->)", re.DOTALL)


def room_of(path: Path) -> str:
    """The room that a file lies in."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def rooms() -> dict[str, set[str]]:
    """Every room, and the rooms that it imports."""
    every = PACKAGE.rglob("*.py")
    files = [path for path in every if path.parent != PACKAGE or path.stem != "__init__"]
    names = {room_of(path) for path in files}
    found: dict[str, set[str]] = {name: set() for name in sorted(names)}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            inner = (module.split(".") for module in modules)
            wanted = {parts[1] for parts in inner if parts[0] == "queen_ref" and len(parts) > 1}
            found[room_of(path)] |= wanted & names - {room_of(path)}
    return found


def reduced(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows without those that a detour implies.

    Errors: `graphlib.CycleError` for a circle.

    >>> reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()})["a"]
    {'b'}
    """
    below: dict[str, set[str]] = {}
    for room in TopologicalSorter(arrows).static_order():
        below[room] = set().union(arrows[room], *(below[next_] for next_ in arrows[room]))
    return {
        room: wanted - set().union(*(below[other] for other in wanted))
        for room, wanted in arrows.items()
    }


def drawn(arrows: dict[str, set[str]]) -> str:
    """The map as a Mermaid block: folders as boxes, files with round ends."""
    lines = ["```mermaid", "flowchart TD"]
    for room in arrows:
        folder = (PACKAGE / room).is_dir()
        lines.append(f"    {room}[{room}/]" if folder else f"    {room}({room}.py)")
    for room, wanted in reduced(arrows).items():
        lines += [f"    {room} --> {other}" for other in sorted(wanted)]
    return "\n".join([*lines, "```"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew the block in CONTRIBUTING.md")
    picture = drawn(rooms())
    if parser.parse_args().write:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(BLOCK.sub(lambda m: m[1] + picture + m[2], text), encoding="utf-8")
    else:
        print(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
