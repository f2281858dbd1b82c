"""The six lines of the README run, here in the profile smoke."""

import re
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_the_readmes_use_of_the_package(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert '"cpu"' in code and code.count("1500") == 2
    code = code.replace('"cpu"', '"smoke"').replace("1500", "200")
    exec(compile(code, "README.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out) <= 1
