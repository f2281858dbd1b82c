"""A progress bar for anything over a few seconds, and durations in words."""

import os
from collections.abc import Iterable
from typing import TypeVar

_T = TypeVar("_T")


def progress(items: Iterable[_T], desc: str) -> Iterable[_T]:
    """Iterate over `items`; a bar appears when it takes longer than two seconds.

    Arguments: `desc`, what stands before the bar. tqdm draws it, in a terminal or a notebook.
    Without tqdm the items pass through. `TQDM_DISABLE=1` in the environment switches every bar off.

    >>> list(progress(range(3), desc="counting"))
    [0, 1, 2]
    """
    # tqdm's notebook bar ignores its own variable, and leaves an empty box in a built page.
    if os.environ.get("TQDM_DISABLE", "0") not in ("", "0"):
        return items
    try:
        from tqdm.auto import tqdm  # optional
    except ImportError:
        return items
    return tqdm(items, desc=desc, delay=2, leave=False)


def in_words(seconds: float) -> str:
    """A duration for people.

    >>> in_words(20), in_words(300), in_words(9000)
    ('20 s', '5 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
