"""Chapters and API reference point at each other."""

from pathlib import Path

import crosslinks
import pytest
import reference

ROOT = Path(__file__).resolve().parents[2]

CHAPTERS = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.md"))
MODULES = reference.modules((ROOT / "book" / "api.md").read_text())


def test_every_page_that_explains_something_exists():
    for page in reference.EXPLAINED.values():
        assert (ROOT / f"{page}.md").is_file(), page


def test_every_file_of_figures_names_the_page_that_explains_it():
    drawn = {name for name in MODULES if name.startswith("queen_book.figures.")}
    missing = drawn - set(reference.EXPLAINED)
    assert drawn and not missing, f"not in book/extensions/reference.py: {sorted(missing)}"


def test_a_module_without_a_page_of_its_own_has_that_of_its_package():
    assert reference.explained("queen_ref.attacks.jbda") == "notebooks/06_attacks"
    assert reference.explained("queen_ref.queen.saving") == "notebooks/05_queen_end_to_end"
    assert reference.explained("queen_book.chapter") == "book/setup"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_chapter_uses_is_in_the_reference(chapter):
    names = crosslinks.used(chapter)
    assert names
    for name in names:
        assert name.rpartition(".")[0] in MODULES, name
    assert len(set(MODULES)) == len(MODULES)


def test_the_reference_gets_an_entry_for_each_module_it_names():
    source = ["<!-- modules of queen_ref.attacks: attack,\npolicies -->"]
    assert reference.modules(source[0]) == [
        "queen_ref.attacks.attack",
        "queen_ref.attacks.policies",
    ]
    crosslinks.add_to_page(None, "book/api", source)
    assert source[0].count(".. automodule:: queen_ref.attacks.") == 2 and "<!--" not in source[0]


def test_a_chapter_gets_its_list_before_its_references():
    for references in ("", "\n## References\nx"):
        source = [f"# Title{references}"]
        crosslinks.add_to_page(None, "notebooks/08_arena", source)
        assert source[0].index("## In the package") > 0
        assert source[0].endswith(references or "\n")


def test_names_are_found_under_an_alias_and_not_where_they_are_not_used(tmp_path):
    path = tmp_path / "x.md"
    cell = "```{code-cell} ipython3\n%pip install x\nimport queen_ref as qr\n"
    cell += "from queen_ref.attacks import ask as put\nqr.metrics.accuracy\nput\n```\n"
    head = CHAPTERS[0].read_text().split("---\n")[1]
    path.write_text(f"---\n{head}---\n{cell}")
    assert crosslinks.used(path) == [
        "queen_ref.attacks.asking.ask",
        "queen_ref.metrics.accuracy",
    ]
