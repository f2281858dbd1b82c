"""Many threads that interrupt each other all the time. Not a test module."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

THREADS = 8


@contextmanager
def hurried():
    """Threads change places a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def at_once(task: Callable, items) -> list:
    """`task(item)` for every item, from eight threads; an exception counts as a result."""

    def run(item):
        try:
            return task(item)
        except Exception as error:
            return error

    with hurried(), ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(run, items))
