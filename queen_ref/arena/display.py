"""What a run shows while it works: a bar in a terminal, plain lines elsewhere."""

import sys
from typing import Any, TextIO

from queen_ref.arena.cells import Cell
from queen_ref.progress import in_words


class Display:
    """A bar with the time left where `stream` is a terminal, else a plain line a cell.

    Arguments: `total`, cells of the run; `stream`, stderr by default.

    >>> display = Display(total=2, stream=sys.stdout)
    >>> display.begin(already=1)
    1 of 2 cells are in the file already
    """

    def __init__(self, total: int, stream: TextIO | None = None):
        self.total, self.stream, self.count = total, stream or sys.stderr, 0
        self.bar: Any = None

    def begin(self, already: int) -> None:
        """The run begins, and `already` cells need not be measured."""
        self.count = already
        if self.stream.isatty():
            try:
                from tqdm import tqdm  # optional: without it there are plain lines
            except ImportError:
                tqdm = None
            if tqdm is not None:
                # Our own estimate: tqdm's takes every cell for an average one.
                form = "{percentage:3.0f}% |{bar}| {n}/{total} cells, {elapsed}{postfix}"
                self.bar = tqdm(
                    total=self.total,
                    initial=already,
                    file=self.stream,
                    bar_format=form,
                    disable=False,
                )
        if already:
            self.say(f"{already} of {self.total} cells are in the file already")

    def skip(self) -> None:
        """Another run has measured a cell meanwhile."""
        self.count += 1
        if self.bar is not None:
            self.bar.update()

    def done(self, cell: Cell, line: dict, left: float | None) -> None:
        """A cell was measured; `left` seconds remain, None if nobody knows."""
        self.count += 1
        rest = "" if not left else f"; about {in_words(left)} left"
        took = line["seconds"]["total"]
        if self.bar is not None:
            self.bar.set_postfix_str(f"{cell.name}{rest}", refresh=False)
            self.bar.update()
            return
        self.say(
            f"[{self.count}/{self.total}] {cell.name}: "
            f"substitute {line['substitute_accuracy']:.3f}, {took:.1f} s{rest}"
        )

    def failed(self, cell: Cell, error: Exception) -> None:
        """A cell ended with an exception; its first line is shown."""
        text = str(error).strip().splitlines()
        self.say(f"FAILED {cell.name}: {type(error).__name__}: {text[0] if text else ''}")

    def end(self) -> None:
        """The run is over, or was interrupted."""
        if self.bar is not None:
            self.bar.close()

    def say(self, text: str) -> None:
        """A line of its own, above the bar if there is one."""
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)
