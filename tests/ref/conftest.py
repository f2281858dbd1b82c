"""What tests in several rooms need."""

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder and a cache of the test's own."""
    monkeypatch.setenv("QUEEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("QUEEN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a test used the network"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def homeless(monkeypatch):
    """A container's user: a number without a name, HOME not set."""

    def nobody(*_):
        raise KeyError("no such user")

    for name in ("HOME", "QUEEN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
