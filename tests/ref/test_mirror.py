"""`tests/ref` mirrors `queen_ref`: a test file for every module, a module for every test file."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "ref"
UNTESTED = {
    "cli/__main__": "one call of main",
}
WHOLE = {
    "test_examples": "every docstring's example",
    "test_imports": "who imports whom",
    "test_mirror": "this one",
    "attacks/test_art": "a thief from outside",
}


def names(folder: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob(pattern)}


def file_of(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name}".lstrip("/")


MODULES = {m for m in names(ROOT / "queen_ref", "*.py") if not m.endswith("__init__")}
FILES = names(TESTS, "test_*.py")


def test_every_module_has_its_test_file_or_a_reason_why_not():
    missing = {module for module in MODULES if file_of(module) not in FILES}
    assert missing == set(UNTESTED), missing ^ set(UNTESTED)


def test_every_test_file_has_its_module_or_tests_the_whole():
    alone = FILES - {file_of(module) for module in MODULES}
    assert alone == set(WHOLE), alone ^ set(WHOLE)
