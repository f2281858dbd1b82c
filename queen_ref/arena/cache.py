"""A folder of trained parts, each under a hash of what it depends on.

An entry is a file of tensors and plain numbers with its SHA-256 beside it. It is written
beside and renamed; a file that does not match its sum, for whatever reason, is built again.
Loading runs no code: `torch.load(weights_only=True)`.
"""

import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

# Raise it when the same settings no longer give the same part.
FORMAT = 3


def default_folder() -> Path:
    """`$QUEEN_CACHE`, or `~/.cache/queen_ref`.

    >>> cache = Cache(default_folder())
    """
    return Path(os.environ.get("QUEEN_CACHE") or "~/.cache/queen_ref").expanduser()


class Cache:
    """Trained parts on disk. Errors: `ValueError` when the folder cannot be made or written.

    >>> cache = Cache("parts")
    >>> weights = cache.get("victim", {"seed": 0}, victim.state_dict)    # calls it, and keeps
    >>> weights = cache.get("victim", {"seed": 0}, victim.state_dict)    # reads
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder = Path(folder) if folder is not None else default_folder()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ValueError(f"cache: cannot write to {self.folder} ({error.strerror})") from None

    def path(self, kind: str, depends: dict) -> Path:
        """The file of the part `kind` that depends on `depends` (plain numbers and words)."""
        text = json.dumps({"format": FORMAT, **depends}, sort_keys=True)
        return self.folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.pt"

    def get(self, kind: str, depends: dict, build: Callable[[], Any]) -> Any:
        """The entry, read or else built by `build()` and written: tensors and plain numbers.

        Two processes that need one entry build it once: the second waits for the first.
        """
        path = self.path(kind, depends)
        entry = self._read(path)
        if entry is None:
            with self._locked(path):
                entry = self._read(path)  # somebody may have built it while we waited
                if entry is None:
                    entry = self._write(path, build())
        return entry

    def _read(self, path: Path) -> Any:
        try:
            content = path.read_bytes()
            wanted = _sum_file(path).read_text().strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            content, wanted = b"", "unreadable"
        if hashlib.sha256(content).hexdigest() == wanted:
            try:
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            except Exception:  # the sum was right, so what was summed was no entry
                pass
        print(f"cache: {path.name} is damaged and is built again", file=sys.stderr)
        return None

    def _write(self, path: Path, entry: Any) -> Any:
        buffer = io.BytesIO()
        torch.save(entry, buffer)
        content = buffer.getvalue()
        # Killed between the two, the old sum does not match: damaged, and built again.
        _replace(path, content)
        _replace(_sum_file(path), hashlib.sha256(content).hexdigest().encode() + b"\n")
        return entry

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        try:
            import fcntl
        except ImportError:  # Windows: two processes may build twice, and the last one stays
            yield
            return
        with open(path.with_suffix(".lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _sum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with open(part, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
