"""Bars that change nothing, and durations in words."""

import sys

import pytest

from queen_ref.progress import in_words, progress


@pytest.mark.parametrize("bars", ["", "0", "1"])
def test_every_item_comes_through_with_and_without_a_bar(monkeypatch, bars):
    monkeypatch.setenv("TQDM_DISABLE", bars)
    assert list(progress(range(5), desc="counting")) == [0, 1, 2, 3, 4]


def test_without_tqdm_there_is_no_bar(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    for name in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    assert progress([1, 2], desc="counting") == [1, 2]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_a_duration_in_words(seconds, words):
    assert in_words(seconds) == words
