"""The file of runs that book/tools/seeds.py keeps, the table of it, and what is wrong in it."""

import json
import math
from pathlib import Path

from claimed import ROOM, ROOT, claims_in, room

from queen_book.claims import PROFILE, in_numbers
from queen_ref.cache import locked, write_whole

# By chapter: the hash of its code, and those of its claims.
Keys = dict[str, tuple[str, list[str]]]


class Record:
    """The file of runs. A run replaces the one of the same chapter, settings and machine."""

    def __init__(self, path: Path):
        self.path = path
        self.runs = self.read()

    def read(self) -> list[dict]:
        text = self.path.read_text() if self.path.is_file() else ""
        return [json.loads(line) for line in text.splitlines()]

    @staticmethod
    def what(run: dict) -> tuple:
        return tuple(run[name] for name in ("profile", "chapter", "threads", "seed"))

    def add(self, run: dict) -> None:
        with locked(self.path):
            same = self.what(run), run["machine"]
            # Read again: another process may have added to it.
            kept = [old for old in self.read() if (self.what(old), old["machine"]) != same]
            self.runs = sorted([*kept, run], key=lambda run: (*self.what(run), run["machine"]))
            text = "".join(json.dumps(run) + "\n" for run in self.runs)
            write_whole(self.path, text.encode())

    def fresh(self, keys: Keys) -> list[dict]:
        """The runs of the code as it is now, in which every claim as it is now was held."""
        now = {stem: (code, set(claimed)) for stem, (code, claimed) in keys.items()}
        return [run for run in self.runs if run["chapter"] in now
                and run["code"] == now[run["chapter"]][0]
                and set(run["claimed"]) >= now[run["chapter"]][1]]  # fmt: skip


def table(record: Record, keys: Keys, wanted: list[tuple]) -> list[str]:
    """Chapter x seed for each profile and thread count: ok, FAIL, claim, old or -."""
    fresh, known = {}, {record.what(run) for run in record.runs}
    for run in record.fresh(keys):
        fresh.setdefault(record.what(run), []).append(run)
    bounds = {stem: claims_in(ROOT / "notebooks" / f"{stem}.md") for stem in keys}

    def cell(what: tuple) -> str:
        if what not in fresh:
            return "old" if what in known else "-"
        if any(run["failed"] for run in fresh[what]):
            return "FAIL"
        broken = [claim for claim in bounds[what[1]] if room(claim, fresh[what]) < 0]
        return "claim" if broken else "ok"

    lines = []
    for profile, threads in sorted({(what[0], what[2]) for what in wanted}, reverse=True):
        seeds = sorted({what[3] for what in wanted if what[0] == profile and what[2] == threads})
        title = f"{profile}, {threads} thread{'s' if threads > 1 else ''}"
        lines.append(f"{title:24}" + "".join(f"{seed:>6}" for seed in seeds))
        for stem in keys:
            cells = [cell((profile, stem, threads, seed)) for seed in seeds]
            lines.append(f"{stem:24}" + "".join(f"{text:>6}" for text in cells))
        lines.append("")
    return lines


def spreads(record: Record, keys: Keys) -> list[tuple[float, str]]:
    """Every claim of these chapters: its room, and a line with what was recorded and its bounds."""
    measured = [run for run in record.fresh(keys) if run["profile"] == PROFILE]
    found = []
    for stem in keys:
        for claim in claims_in(ROOT / "notebooks" / f"{stem}.md"):
            held = [run["claims"][claim.name] for run in measured
                    if run["chapter"] == stem and claim.name in run["claims"]]  # fmt: skip
            if not held:
                found.append((math.nan, f"{stem}: nothing is recorded of {claim.name!r}"))
                continue
            lows, highs = zip(*held, strict=True)
            space = room(claim, measured)
            found.append((space, (
                f"{stem}: {claim.name!r} was {in_numbers(min(lows), max(highs))} in {len(held)} "
                f"runs, bounds {claim.above} and {claim.below}: room for {space:.2f} ranges"
            )))  # fmt: skip
    return found


def findings(record: Record, keys: Keys) -> list[str]:
    """What is wrong: runs that failed, claims that are not recorded, bounds without room."""
    failed = [f"{' '.join(map(str, record.what(run)))}: {run['failed']}"
              for run in record.fresh(keys) if run["failed"]]  # fmt: skip
    return failed + [line for space, line in spreads(record, keys) if not space >= ROOM]
