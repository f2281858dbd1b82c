"""Run chapters side by side, and say how far it is: where one begins, where one ends, and between.

A chapter takes minutes, and whoever waits shall see that it goes on. The lines are plain text and
wait in no buffer, so they read the same in a terminal, through a pipe and in a log.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

EVERY = 50  # seconds without a line; a busy machine may add some, and a minute is the promise


def run_all(
    task: Callable[[Path], bool], paths: Sequence[Path], at_once: int, every: float = EVERY
) -> list[str]:
    """Run all chapters, in this order; returns the names of those that failed.

    Arguments: `task`, runs one chapter and says whether it came to its end; `paths`, the chapters;
    `at_once`, how many run side by side; `every`, after so many silent seconds a line says what
    runs.

    >>> run_all(Path.is_file, [], at_once=2)
    []
    """
    waiting, running, failed, done = list(paths), {}, [], 0
    with ProcessPoolExecutor(at_once) as pool:
        while waiting or running:
            # The pool would take all of them, and would not tell where one begins.
            while waiting and len(running) < at_once:
                path = waiting.pop(0)
                say(f"{len(paths) - len(waiting)} of {len(paths)} begins: {path.stem}")
                running[pool.submit(task, path)] = path.stem, time.monotonic()
            ended, _ = wait(running, every, FIRST_COMPLETED)
            for run in ended:
                name, start = running.pop(run)
                fine, seconds, done = run.result(), time.monotonic() - start, done + 1
                word = "" if fine else "FAILED after "
                say(f"{done} of {len(paths)} done: {name}, {word}{seconds:.0f} s")
                failed += [] if fine else [name]
            if not ended:
                say(f"{done} of {len(paths)} done, still running: {since(running)}")
    return sorted(failed)


def since(running: dict[Future, tuple[str, float]]) -> str:
    """What runs, and for how long; `running` holds the names and when each began.

    >>> since({Future(): ("05_queen_end_to_end", time.monotonic() - 60)})
    '05_queen_end_to_end for 60 s'
    """
    now = time.monotonic()
    return ", ".join(f"{name} for {now - start:.0f} s" for name, start in running.values())


def say(line: str) -> None:
    print(line, flush=True)
