"""A reader's file: loaded from its path, and what is wrong with it is one line."""

import pickle
import sys

import pytest

from queen_ref.arena import load_plugin
from queen_ref.arena.plugins import Plugin, plugin_of
from queen_ref.cli import main


def test_a_file_is_run_and_can_be_run_elsewhere(tmp_path):
    path = tmp_path / "my file.py"
    path.write_text("class A:\n    def b(self):\n        return 1\n")
    module = load_plugin(path)
    again = pickle.loads(pickle.dumps(module.A()))
    assert again.b() == 1 and plugin_of(module.__name__).text == path.read_text()
    path.unlink()
    del sys.modules[module.__name__]
    assert plugin_of(module.__name__) is None
    carried = Plugin(str(path), "class A:\n    def b(self):\n        return 1\n")
    assert carried.load().A().b() == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "expected a Python file"),
        ("1 +", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import nobody_has_this", "No module named"),
        ("from queen_ref import defenses\ndefenses.register(3)", "expected make"),
        ("from queen_ref import defenses\ndefenses.register(int, 'queen')", "is the package's"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line(tmp_path, capsys, content, says):
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_text(content)
    before = set(sys.modules)
    command = ["arena", "--profile", "smoke", "--plugin", str(path), "--out"]
    assert main([*command, str(tmp_path / "r.jsonl")]) == 2
    said = capsys.readouterr().err
    assert "plugin: " in said and says in said and said.count("\n") == 1
    assert not (tmp_path / "r.jsonl").exists()
    assert not any(name.startswith("queen_plugin") for name in set(sys.modules) - before)


def test_a_folder_or_an_image_is_no_plugin(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff\xfe")
    for path in (tmp_path, tmp_path / "a.png"):
        with pytest.raises(ValueError, match="plugin: expected a Python file"):
            load_plugin(path)
