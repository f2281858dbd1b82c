"""Tables: attacks down, defences across, the price, the flags."""

from dataclasses import replace

from results import CELL, line

from queen_ref.arena import summarise, to_markdown


def test_a_table_has_mean_and_spread_and_the_flags():
    stolen = enumerate((0.7, 0.8, 0.9))
    rows = summarise(
        [
            line(replace(CELL, seed=seed), substitute_accuracy=value, flags=["odd"] * (seed == 0))
            for seed, value in stolen
        ]
    )
    table = to_markdown(rows)
    assert table.startswith("## Profile smoke, pool mnist, policy random\n")
    assert "| attack | none |\n|---|---:|\n| naive | 0.800 ± 0.100 |\n" in table
    assert "- odd (1)" in table


def test_a_combination_that_was_not_run_is_an_empty_field():
    pairs = [("naive", "none"), ("s4l", "none"), ("naive", "queen")]
    rows = summarise(
        [line(replace(CELL, attack=attack, defense=defense)) for attack, defense in pairs]
    )
    (row,) = [text for text in to_markdown(rows).splitlines() if text.startswith("| s4l |")]
    assert row.endswith("|  |") and row.count("|") == 4


def test_the_price_names_the_attack_that_steals_most():
    stolen = {"naive": 0.2, "s4l": 0.4}
    rows = summarise(
        [
            line(replace(CELL, attack=attack, defense="am"), substitute_accuracy=value)
            for attack, value in stolen.items()
        ]
    )
    assert "| s4l 0.400 |" in to_markdown(rows)
