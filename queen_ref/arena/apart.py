"""Which lines are the same experiment but for the seed, and what to call those that are not.

A file may hold lines under one name that were measured with other settings: a profile changed, a
budget was given, a method of one's own was rewritten. They are never averaged. Where all of a
file agrees, nothing is said.
"""

import json
from collections.abc import Iterator, Sequence

# What the code of a method is said beside; the other differences stand at the profile.
METHODS = ("attack", "policy", "defense")


def told_apart(lines: Sequence[dict]) -> Iterator[tuple[dict[str, str], str]]:
    """For each line its names, made distinct by what differs, and that difference ("": none).

    >>> line = {"profile": "cpu", "pool": "mnist", "policy": "random", "attack": "naive",
    ...         "defense": "none", "seed": 0}
    >>> words, apart = next(told_apart([line]))
    >>> words["profile"], apart
    ('cpu', '')
    """
    settings: dict[str, list[dict]] = {}  # by profile: all that were used
    codes: dict[tuple[str, str, str], set[str | None]] = {}  # by profile, kind and name
    known: list[tuple[str, dict]] = []
    for line in lines:
        profile, mine = _profile(line), decided_by(line)
        known.append((profile, mine))
        for kind in METHODS:
            codes.setdefault((profile, kind, line[kind]), set()).add(_code(line).get(kind))
    _put_back(lines, known)
    for profile, mine in known:
        if mine not in settings.setdefault(profile, []):
            settings[profile].append(mine)
    for line, (profile, mine) in zip(lines, known, strict=True):
        words = {"profile": profile, "pool": line["pool"]} | {kind: line[kind] for kind in METHODS}
        changed = dict(line.get("queen", ())) | dict(line.get("setting", ()))
        words["defense"] += "".join(f" {n}={v}" for n, v in changed.items())
        notes = []
        if len(settings[profile]) > 1:
            text = ", ".join(_differences(mine, settings[profile]))
            words["profile"] += f", {text}"
            notes.append(f"profile {line['profile']}: {text}")
        for kind in METHODS:
            if len(codes[profile, kind, line[kind]]) > 1:
                text = _code(line).get(kind) or "code of the package"
                words[kind] += f" ({text})"
                notes.append(f"{kind} {line[kind]}: {text}")
        yield words, "; ".join(notes)


def _put_back(lines: Sequence[dict], known: Sequence[tuple[str, dict]]) -> None:
    """Give a sweep's lines the value that all other lines of their profile have in its place.

    What a sweep varies is said beside the defence. Without it nothing sets its lines apart.
    """
    others: dict[tuple[str, str], list] = {}
    for profile, mine in known:
        for name, value in mine.items():
            if value not in others.setdefault((profile, name), []):
                others[profile, name].append(value)
    for line, (profile, mine) in zip(lines, known, strict=True):
        for name in dict(line.get("queen", ())):
            values = others.get((profile, f"queen.{name}"), [])
            if len(values) == 1:
                mine[f"queen.{name}"] = values[0]


def decided_by(line: dict) -> dict[str, object]:
    """What decides a line beside its names and its seed, by dotted names.

    >>> decided_by({"config": {"settings": {"budget": 150, "sizes": {"epochs": 8}}}})
    {'budget': 150, 'sizes.epochs': 8}
    """
    config = line.get("config") or {}
    flat = dict(_flat(config.get("settings") or {}))
    for name in dict(line.get("queen", ())):  # a sweep says so beside the defence
        flat.pop(f"queen.{name}", None)
    for kind, code in _code(line).items():
        if kind not in METHODS:
            flat[f"{kind} of one's own"] = code.removeprefix("code ")
    return flat


def _profile(line: dict) -> str:
    # Trials on part of the data are not to be averaged with the real thing.
    return line["profile"] + (f", limit {line['limit']}" if line.get("limit") else "")


def _code(line: dict) -> dict[str, str]:
    """By kind, in words: the code of what is one's own, the edition of a changed attack."""
    config = line.get("config") or {}
    found = {kind: f"code {code[:6]}" for kind, code in dict(config.get("code") or {}).items()}
    edition = (config.get("preset") or {}).get("edition")
    if edition is not None:
        found["attack"] = f"edition {edition}"
    return found


def _flat(settings: dict, before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _differences(mine: dict, everybody: Sequence[dict]) -> list[str]:
    names = dict.fromkeys(name for one in everybody for name in one)
    other = [n for n in names if len({json.dumps(one.get(n, "-")) for one in everybody}) > 1]
    told = [f"{name}={mine.get(name, 'usual')}" for name in other]
    return told if len(told) <= 4 else [*told[:4], f"{len(told) - 4} more"]
