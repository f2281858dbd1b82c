"""What a run shows: plain lines in a file, a bar in a terminal."""

import io

from engine import TWELVE, Fake
from results import CELL, line

from queen_ref.arena import Results, run_grid
from queen_ref.arena.display import Display


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_say_what_was_measured_and_what_is_left(tmp_path, capsys):
    run_grid(TWELVE[:3], Results(tmp_path / "r.jsonl"), Fake())
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "[1/3] naive x random x none, seed 0: substitute 0.800, 2.0 s; about 4 s left"
    assert len(told) == 3 and "\r" not in "".join(told)


def test_what_the_file_holds_is_counted_and_said():
    told = io.StringIO()
    display = Display(3, told)
    display.begin(already=1)
    display.skip()
    display.done(CELL, line(), left=None)
    lines = told.getvalue().splitlines()
    assert lines[0] == "1 of 3 cells are in the file already"
    assert lines[1] == "[3/3] naive x random x none, seed 0: substitute 0.800, 2.0 s"


def test_a_terminal_gets_a_bar_and_failures_above_it(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")  # for the trainings; the bar of the grid stays
    told = Terminal()
    display = Display(2, told)
    display.begin(already=0)
    display.failed(CELL, ValueError("out of luck\nand more"))
    display.done(CELL, line(), left=90.0)
    display.end()
    text = told.getvalue()
    assert "FAILED naive x random x none, seed 0: ValueError: out of luck\n" in text
    assert "1/2 cells" in text and "about 2 min left" in text and "and more" not in text
