"""An explorer where a kernel can answer it, and one sentence where none can."""

import os
from collections.abc import Callable


def in_a_kernel(make: Callable, instead: str):
    """What `make` makes; in the built book, which has no kernel, what to look at `instead`.

    >>> in_a_kernel(lambda: "a widget", "Use the figure above.")
    'a widget'
    """
    if os.environ.get("QUEEN_BOOK") != "1":
        return make()
    from IPython.display import HTML  # optional: only a notebook needs it

    return HTML(
        "<p><em>This page has no kernel: the explorer appears when you run the notebook. "
        f"{instead}</em></p>"
    )
