"""A reader's file that registers methods, loaded by its path, here and in other processes."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PREFIX = "queen_plugin_"


@dataclass(frozen=True)
class Plugin:
    """A file as it was read: another process, or machine, loads the same text.

    >>> Plugin.read("mine.py")                                      # doctest: +SKIP
    Plugin(path='mine.py', ...)
    """

    path: str
    text: str

    @classmethod
    def read(cls, path: str | Path) -> "Plugin":
        """The file. Errors: `ValueError` for one that cannot be read."""
        full = Path(path).expanduser().absolute()
        try:
            return cls(str(full), full.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a text file"
            raise ValueError(f"plugin: expected a Python file at {path} ({why})") from None

    @property
    def module(self) -> str:
        """The name it is imported under."""
        digest = hashlib.sha256(self.path.encode()).hexdigest()[:8]
        return f"{PREFIX}{Path(self.path).stem.replace('.', '_')}_{digest}"

    def load(self) -> ModuleType:
        """Run it. Errors: `ValueError` with its own error, in one line."""
        module = ModuleType(self.module)
        module.__file__ = self.path
        before = sys.modules.get(self.module)
        sys.modules[self.module] = module
        try:
            exec(compile(self.text, self.path, "exec"), module.__dict__)
        except Exception as error:  # whatever a reader's file raises
            if before is None:
                del sys.modules[self.module]
            else:
                sys.modules[self.module] = before
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"plugin: {self.path} cannot be loaded ({what})") from None
        module.__dict__["__plugin__"] = self
        return module


def load_plugin(path: str | Path) -> ModuleType:
    """Run a file of one's own, which registers its methods.

    Errors: `ValueError` for a file that is missing or ends with an error.

    >>> load_plugin("nowhere.py")
    Traceback (most recent call last):
    ValueError: plugin: expected a Python file at nowhere.py (No such file or directory)
    """
    return Plugin.read(path).load()


def plugin_of(module: str | None) -> Plugin | None:
    """The plugin that a module is, or None.

    >>> plugin_of("torch")
    """
    return getattr(sys.modules.get(module or ""), "__plugin__", None)
