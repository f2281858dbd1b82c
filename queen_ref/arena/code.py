"""What code decides: a hash of a method of one's own, and of what trains the shared parts.

Of one's own it is the code that is loaded, not what its file says by now: functions and classes,
what they are called with, and the functions, classes and constants of one's own that they use.
A comment changes nothing. What belongs to Python, to an installed library or to this package
counts by its name.
"""

import dis
import functools
import hashlib
import pickle
import sys
import sysconfig
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor

HERE = Path(__file__).resolve().parent.parent
# The files that decide what a trained part is: all but those that attack, measure or show it.
TRAINING = ("models", "checks.py", "modes.py", "sequential.py", "training", "queen", "defenses")
# Of a class: what says where it stands and not what it does.
PLACES = {
    "__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__",
    "__annotations__", "__annotate__", "__annotate_func__", "__abstractmethods__", "_abc_impl",
    "__qualname__", "__parameters__", "__annotations_cache__",
}  # fmt: skip
PREPARE = {"PUSH_NULL", "PRECALL", "NOP", "CACHE"}  # of instructions: how a call begins
JUMPS = {*dis.hasjrel, *dis.hasjabs}
CONTAINERS = (
    list, tuple, set, frozenset, dict, functools.partial, MethodType, staticmethod, classmethod,
    property, CodeType,
)  # fmt: skip


def code_of(thing: Any) -> str:
    """20 hex digits that change with whatever decides what a method does.

    >>> code_of(lambda x: x + 1) == code_of(lambda x: x + 1), code_of(lambda x: x + 2)[:0]
    (True, '')
    """
    return hashlib.sha256("\n".join(_told(thing, set())).encode()).hexdigest()[:20]


@functools.cache
def library_code() -> str:
    """20 hex digits of the source files of this package that train and fit.

    >>> len(library_code())
    20
    """
    total = hashlib.sha256()
    for name in TRAINING:
        place = HERE / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            total.update(f"{path.relative_to(HERE).as_posix()}\n".encode() + path.read_bytes())
    return total.hexdigest()[:20]


def is_own(module: str | None) -> bool:
    """Whether a module is neither Python's, nor an installed library's, nor this package's.

    >>> is_own("torch"), is_own("queen_ref.models"), is_own("__main__")
    (False, False, True)
    """
    if module is None or module == "__main__":
        return module is not None
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:  # not there any more, or made of nothing
        return top not in sys.modules
    path = Path(file).resolve()
    libraries = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib")}
    libraries |= {Path(sysconfig.get_path("platlib")).resolve(), HERE}
    return not any(path.is_relative_to(library) for library in libraries)


def _told(thing: Any, seen: set[int]) -> Iterator[str]:
    """Everything that decides, as words."""
    if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
        yield f"{type(thing).__name__} {thing!r}"
    elif isinstance(thing, Tensor | np.ndarray):
        values = thing.detach().cpu().contiguous().numpy() if isinstance(thing, Tensor) else thing
        content = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
        yield f"array {values.dtype} {values.shape} {content}"
    elif isinstance(thing, CONTAINERS):  # made as we go: their ids tell nothing
        yield from _of_kind(thing, seen)
    elif id(thing) in seen:
        yield "again"
    else:
        seen.add(id(thing))
        yield from _of_kind(thing, seen)


def _of_kind(thing: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(thing, list | tuple):
        yield f"{len(thing)} in a row"
        for value in thing:
            yield from _told(value, seen)
    elif isinstance(thing, set | frozenset):
        yield from sorted(code_of(value) for value in thing)
    elif isinstance(thing, dict):
        for key, value in sorted(thing.items(), key=lambda pair: repr(pair[0])):
            yield from _told(key, seen)
            yield from _told(value, seen)
    elif isinstance(thing, functools.partial):
        yield "partial"
        yield from _told((thing.func, thing.args, thing.keywords), seen)
    elif isinstance(thing, MethodType):
        yield from _told((thing.__self__, thing.__func__), seen)
    elif isinstance(thing, staticmethod | classmethod):
        yield from _told(thing.__func__, seen)
    elif isinstance(thing, property):
        yield from _told((thing.fget, thing.fset), seen)
    elif isinstance(thing, CodeType):
        yield f"{' '.join(_steps(thing))} {thing.co_names} {thing.co_varnames}"
        yield from _told(thing.co_consts, seen)
    elif isinstance(thing, FunctionType):
        yield from _of_function(thing, seen)
    elif isinstance(thing, type):
        yield from _of_class(thing, seen)
    elif isinstance(thing, ModuleType):
        own = is_own(thing.__name__) and thing.__file__ is not None
        content = Path(thing.__file__).read_bytes() if own and thing.__file__ else b""
        yield f"module {thing.__name__} {hashlib.sha256(content).hexdigest()}"
    else:
        yield from _of_object(thing, seen)


def _of_function(thing: FunctionType, seen: set[int]) -> Iterator[str]:
    yield f"function {thing.__qualname__}"
    if not is_own(thing.__module__):
        return
    inside = [cell.cell_contents for cell in thing.__closure__ or ()]
    yield from _told((thing.__code__, thing.__defaults__, thing.__kwdefaults__, inside), seen)
    for name in sorted(_names(thing.__code__)):
        if name in thing.__globals__:
            yield f"uses {name}"
            yield from _told(thing.__globals__[name], seen)


def _of_class(thing: type, seen: set[int]) -> Iterator[str]:
    for one in thing.__mro__:
        yield f"class {one.__qualname__}"
        if is_own(one.__module__):
            kept = {name: value for name, value in vars(one).items() if name not in PLACES}
            yield from _told(kept, seen)


def _of_object(thing: Any, seen: set[int]) -> Iterator[str]:
    yield from _told(type(thing), seen)
    kept = getattr(thing, "__dict__", None)
    if kept is not None:
        yield from _told({k: v for k, v in kept.items() if not k.startswith("__")}, seen)
    elif not callable(thing):  # no more is known of what is written in C, but what it would save
        try:
            yield hashlib.sha256(pickle.dumps(thing)).hexdigest()
        except Exception:  # whatever it raises: its kind must do
            yield "cannot be saved"
    else:
        yield getattr(thing, "__qualname__", "")


def _steps(code: CodeType) -> Iterator[str]:
    """Its instructions, but for how a call is prepared.

    That depends on what stands around: a name that is imported in the same text is called in
    another way, so that a cell of a notebook, compiled line by line, would not be the file it
    is copied to.
    """
    kept = [one for one in dis.get_instructions(code) if one.opname not in PREPARE]
    places = [one.offset for one in kept]
    for one in kept:
        told: object = one.argval if isinstance(one.argval, str) else one.arg
        if one.opcode in JUMPS:
            told = bisect_left(places, one.argval)
        yield f"{one.opname.replace('LOAD_METHOD', 'LOAD_ATTR')} {told}"


def _names(code: CodeType) -> set[str]:
    """Global names that a function uses, those of the functions inside it too."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(_names, inner))
