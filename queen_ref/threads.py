"""A lock for objects that are copied, pickled and sent to other processes.

Python refuses to copy a lock, and with it everything that holds one. A copy of a defence has its
own memory, so it takes a lock of its own.
"""

import threading


class Lock:
    """One thread at a time; whoever holds it may take it again. A copy is a new one, and free.

    >>> lock = Lock()
    >>> with lock, lock:
    ...     alone = True
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["Lock"], tuple[()]]:
        return Lock, ()
