"""What may be deleted at any time: one folder for trained parts and decoded images.

Whatever keeps a file writes it whole and takes turns with `write_whole` and `locked`, here and
elsewhere. An entry of `Cache` is a file of tensors and plain numbers with its SHA-256 beside it;
one that does not match its sum, for whatever reason, is made again. Loading runs no code:
`torch.load(weights_only=True)`.
"""

import errno
import hashlib
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache as once
from pathlib import Path
from typing import Any, BinaryIO

import torch
from filelock import FileLock

# Raise it when the same settings no longer give the same part.
FORMAT = 3
FULL = (errno.ENOSPC, errno.EDQUOT)
# What a file system answers that cannot lock: some of a network, some of a container, a full one.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, *FULL)


def default_folder() -> Path:
    """`$QUEEN_CACHE`, or `~/.cache/queen_ref`. Errors: `ValueError` where there is no home.

    >>> cache = Cache(default_folder())
    """
    return expanded("cache", os.environ.get("QUEEN_CACHE") or "~/.cache/queen_ref")


def expanded(what: str, path: str | Path) -> Path:
    """A path with `~` spelled out. Errors: `ValueError` where there is no home to put there.

    >>> expanded("cache", "parts")
    PosixPath('parts')
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a container without HOME, under a number that has no name
        raise ValueError(
            f"{what}: expected a folder, found no home for {path} (HOME is not set); name another"
        ) from None


def write_whole(path: str | Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file beside and rename it: whoever looks sees the old one or the new one, whole.

    Arguments: `content`, the bytes, or a function that writes them into an open file.
    Errors: `OSError` for a folder that is missing, not writable or full; the old file stays.

    >>> write_whole("numbers.npy", lambda file: np.save(file, np.arange(3)))
    >>> np.load("numbers.npy")
    array([0, 1, 2])
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(part, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:  # a full disk, an impatient reader
        part.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Let one in at a time, of all threads and processes that lock this path.

    The lock is `.NAME.lock` beside the file, on every system; it ends with the process that holds
    it, and its empty file stays. Where the file system has no locks there is none: one line says
    so, once. Errors: `OSError` where that file cannot be made.

    >>> with locked("numbers.npy"):
    ...     write_whole("numbers.npy", b"")
    """
    path = Path(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire()
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        why = getattr(error, "strerror", None) or "no locks"
        where = path.absolute().parent
        say_once(f"cannot lock in {where} ({why}): let one process at a time write there")
    try:
        yield
    finally:
        lock.release()  # does nothing where there is none


@once
def say_once(text: str) -> None:
    """Print a line on stderr, unless this process has said it before.

    >>> say_once("cache: no locks")
    """
    print(text, file=sys.stderr)


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
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise ValueError(f"cache: cannot write to {self.folder} ({error.strerror})") from None

    def path(self, kind: str, depends: dict) -> Path:
        """The file of the part `kind` that depends on `depends` (plain numbers and words)."""
        text = json.dumps({"format": FORMAT, **depends}, sort_keys=True)
        return self.folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.pt"

    def get(self, kind: str, depends: dict, make: Callable[[], Any]) -> Any:
        """The entry, read, or else made by `make()` and written: tensors and plain numbers.

        Two processes that need one entry make it once: the second waits for the first.
        """
        path = self.path(kind, depends)
        entry = self._read(path)
        if entry is None:
            with locked(path):
                entry = self._read(path)  # somebody may have made it while we waited
                if entry is None:
                    entry = self._write(path, make())
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
        try:
            # Killed between the two, the old sum does not match: damaged, and made again.
            write_whole(path, content)
            write_whole(_sum_file(path), hashlib.sha256(content).hexdigest().encode() + b"\n")
        except OSError as error:
            if error.errno not in FULL:
                raise
            # What was trained for minutes is worth more than its file.
            say_once(f"cache: cannot write to {self.folder} ({error.strerror}); parts are not kept")
        return entry


def _sum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
