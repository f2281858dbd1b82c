"""The results file: one JSON object a line, appended whole or not at all.

Every run holds the file's lock (`queen_ref.cache.locked`) while it appends, and only then. A line
is one `write`; a process killed inside it leaves a torn last line, which the next append cuts off.
Under the lock the key is looked up once more, so two runs into one file never write a cell twice.
Reading needs no lock.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path

from queen_ref.arena.cells import FORMAT
from queen_ref.cache import locked

# Every line begins like this: what does not was written by somebody else.
HEAD = b'{"format": '


class Results:
    """The cells measured so far, and the file that holds them.

    Arguments: `path`, a file that exists or can be made; it is made by `open_for_append`.
    Errors: `ValueError` for a file that is not ours, is damaged, or has another version.

    >>> results = Results("arena.jsonl")
    >>> results.append({"key": "5f0c", "attack": "naive"})     # False: it was there already
    True
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.lines: dict[str, dict] = {}
        self._read_to = 0
        if self.path.exists():
            self.refresh()

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def refresh(self) -> None:
        """Read what was appended since, by whomever; a torn last line stays unread."""
        try:
            with open(self.path, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._read_to:  # somebody began it anew
                    self.lines, self._read_to = {}, 0
                file.seek(self._read_to)
                new = file.read()
        except FileNotFoundError:
            new = b""
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be read ({error.strerror})") from None
        end = new.rfind(b"\n") + 1
        for text in new[:end].splitlines():
            line = parse(text, str(self.path))
            self.lines.setdefault(line["key"], line)
        torn = new[end:]
        if torn and not (HEAD.startswith(torn) or torn.startswith(HEAD)):
            raise ValueError(f"{self.path}: expected results of queen-ref arena, found other text")
        self._read_to += end

    def check_writable(self) -> None:
        """`ValueError` if the file could not be written; nothing is made."""
        folder = self.path.absolute().parent
        if not folder.is_dir():
            raise ValueError(f"{self.path}: cannot be written (no such folder)")
        written = [folder, self.path] if self.path.exists() else [folder]  # the lock is beside it
        if not all(os.access(path, os.W_OK) for path in written):
            raise ValueError(f"{self.path}: cannot be written (permission denied)")

    def open_for_append(self) -> None:
        """Make the file, or find out now that it cannot be written."""
        with self._opened():
            pass

    def append(self, line: dict) -> bool:
        """Add a result under the lock; False, and nothing written, if its key is there.

        Errors: `ValueError` where it cannot be written, on a full disk for example; the file is
        as it was.
        """
        text = json.dumps({"format": FORMAT, **line}, allow_nan=False).encode() + b"\n"
        with self._opened() as file:
            self.refresh()
            os.ftruncate(file.fileno(), self._read_to)  # what a killed run had begun
            if line["key"] in self.lines:
                return False
            try:
                written = file.write(text)
                if written < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # part of it found room
                os.fsync(file.fileno())
            except OSError as error:
                os.ftruncate(file.fileno(), self._read_to)
                why = error.strerror
                raise ValueError(f"{self.path}: cannot be written ({why})") from None
            self.refresh()
        return True

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        """The file, to append without a buffer, under its lock."""
        with ExitStack() as held:
            try:
                file = held.enter_context(open(self.path, "ab", buffering=0))
                held.enter_context(locked(self.path))
            except OSError as error:
                raise ValueError(f"{self.path}: cannot be written ({error.strerror})") from None
            yield file


def read(path: str | Path) -> list[dict]:
    """Every whole line of a results file, in its order.

    Errors: `ValueError` for a file that is missing, empty, not ours or of another version.

    >>> 0 <= read("arena.jsonl")[0]["substitute_accuracy"] <= 1
    True
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: expected a results file, found none")
    lines = list(Results(path).lines.values())
    if not lines:
        raise ValueError(f"{path}: expected at least one result, found none")
    return lines


def parse(text: bytes, where: str) -> dict:
    """One line as a dict; `ValueError` if it is not a result in this format."""
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict) or "format" not in line:
        raise ValueError(f"{where}: expected results of queen-ref arena, found other text")
    if line["format"] != FORMAT:
        raise ValueError(
            f"{where}: expected format {FORMAT}, found {line['format']!r}; name another file"
        )
    if not isinstance(line.get("key"), str):
        raise ValueError(f"{where}: expected a key in every line, found one without")
    return line
