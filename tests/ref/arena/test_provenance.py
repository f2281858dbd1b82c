"""Where a result comes from."""

import platform
import re

from queen_ref.arena.provenance import machine, revision, versions


def test_the_versions_are_those_of_what_computes():
    found = versions()
    assert found["python"] == platform.python_version()
    assert set(found) == {"python", "queen-ref", "torch", "torchvision", "numpy", "scikit-learn"}


def test_the_revision_is_a_commit_or_unknown():
    assert revision() is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", revision())


def test_a_processor_is_named_with_its_cores():
    assert re.fullmatch(r".*, 1 thread of \d+ cores", machine("cpu"))
