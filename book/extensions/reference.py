"""The API reference: which modules it has, what an entry looks like, where it is explained.

The page names a room's modules in one line, `<!-- modules of queen_ref.attacks: attack, jbda -->`.
The entries of all their functions and classes come in its place, from the docstrings.
"""

import re

MODULES = re.compile(r"<!-- modules of ([\w.]+):([\w,\s]+?)-->")

# The longest module that fits decides.
EXPLAINED = {
    "queen_ref": "book/setup",
    "queen_book": "book/setup",
    "queen_book.figures.landing": "book/index",
    "queen_ref.blackbox": "notebooks/01_model_extraction",
    "queen_ref.metrics": "notebooks/01_model_extraction",
    "queen_ref.models": "notebooks/01_model_extraction",
    "queen_ref.training": "notebooks/01_model_extraction",
    "queen_ref.attacks.policies": "notebooks/01_model_extraction",
    "queen_ref.attacks.training": "notebooks/01_model_extraction",
    "queen_book.figures.extraction": "notebooks/01_model_extraction",
    "queen_ref.queen.features": "notebooks/02_feature_clustering",
    "queen_book.figures.clustering": "notebooks/02_feature_clustering",
    "queen_ref.queen.sensitivity": "notebooks/03_sensitivity",
    "queen_ref.queen.point_grid": "notebooks/03_sensitivity",
    "queen_ref.queen.history": "notebooks/03_sensitivity",
    "queen_ref.queen.regions": "notebooks/03_sensitivity",
    "queen_ref.sequential": "notebooks/03_sensitivity",
    "queen_book.figures.sensitivity": "notebooks/03_sensitivity",
    "queen_book.figures.fates": "notebooks/03_sensitivity",
    "queen_book.figures.ledger": "notebooks/03_sensitivity",
    "queen_book.explorers.sensitivity": "notebooks/03_sensitivity",
    "queen_ref.queen.unlearning": "notebooks/04_gradient_reverse",
    "queen_ref.queen.shadows": "notebooks/04_gradient_reverse",
    "queen_book.figures.reversal": "notebooks/04_gradient_reverse",
    "queen_ref.queen": "notebooks/05_queen_end_to_end",
    "queen_ref.queen.hidden": "notebooks/11_mending_queen",
    "queen_ref.queen.gate": "notebooks/11_mending_queen",
    "queen_ref.queen.held_out": "notebooks/11_mending_queen",
    "queen_ref.queen.accusing": "notebooks/11_mending_queen",
    "queen_book.figures.end_to_end": "notebooks/05_queen_end_to_end",
    "queen_book.figures.thresholds": "notebooks/05_queen_end_to_end",
    "queen_book.explorers.budget": "notebooks/05_queen_end_to_end",
    "queen_ref.attacks": "notebooks/06_attacks",
    "queen_ref.training.augmentation": "notebooks/06_attacks",
    "queen_book.figures.attacks": "notebooks/06_attacks",
    "queen_ref.defenses": "notebooks/07_defenses",
    "queen_book.three_classes": "notebooks/07_defenses",
    "queen_book.explorers.simplex": "notebooks/07_defenses",
    "queen_book.figures.triangle": "notebooks/07_defenses",
    "queen_book.figures.simplex": "notebooks/07_defenses",
    "queen_book.figures.defenses": "notebooks/07_defenses",
    "queen_ref.arena": "notebooks/08_arena",
    "queen_ref.arena.cluster": "book/cluster",
    "queen_ref.arena.engines": "book/cluster",
    "queen_ref.arena.own": "book/your_row",
    "queen_ref.arena.plugins": "book/your_row",
    "queen_ref.arena.code": "book/your_row",
    "queen_ref.arena.apart": "book/your_row",
    "queen_ref.models.wrapping": "book/your_row",
    "queen_ref.arena.figures": "notebooks/08_arena",
    "queen_book.figures.verdict": "notebooks/08_arena",
    "queen_book.figures.recipes": "notebooks/08_arena",
    "queen_book.figures.breaking": "notebooks/10_breaking_queen",
    "queen_book.figures.photographs": "notebooks/09_photographs",
    "queen_book.figures.mending": "notebooks/11_mending_queen",
    "queen_book.figures.benchmarks": "book/benchmarks",
    "queen_ref.cli": "notebooks/09_photographs",
}


def explained(module: str) -> str:
    """The page that explains a module's functions.

    >>> explained("queen_ref.queen.unlearning"), explained("queen_ref.data.files")
    ('notebooks/04_gradient_reverse', 'book/setup')
    """
    while module not in EXPLAINED:
        module = module.rpartition(".")[0]
    return EXPLAINED[module]


def modules(text: str) -> list[str]:
    """The modules that the reference's text names, in order.

    >>> modules("<!-- modules of queen_ref: blackbox, models -->")
    ['queen_ref.blackbox', 'queen_ref.models']
    """
    found = re.findall(MODULES, text)
    return [f"{room}.{name.strip()}" for room, names in found for name in names.split(",")]


def entries(match: re.Match) -> str:
    """A heading for each module, and everything in it that has a docstring."""
    options = "   :members:\n   :special-members: __call__\n   :ignore-module-all:"
    return "\n\n".join(
        f"### `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n{options}\n```"
        for name in modules(match[0])
    )


def leave_out(app, what, name, thing, skip, options) -> bool | None:
    """No entry for a method or a tuple's field that has no words of its own."""
    words = getattr(thing, "__doc__", None) or ""
    return True if not words or words.startswith("Alias for field number") else None


def set_apart(app, what, name, thing, options, lines) -> None:
    """Equations and drawings, indented in a docstring, keep their spaces and their signs."""
    for number in range(len(lines) - 2, 0, -1):
        before, blank, after = lines[number - 1 : number + 2]
        begins = not blank.strip() and after.startswith("    ") and not before.startswith(" ")
        if begins and not before.endswith("::"):
            lines[number:number] = ["", "::"]


def add_page(app, what, name, thing, options, lines) -> None:
    """Under an entry of the reference: where it is explained."""
    if what in ("function", "class", "exception"):
        page = explained(getattr(thing, "__module__", name))
        lines += ["", f"Explained in :doc:`/{page}`.", ""]
