"""Flags: what an attack says of itself, and what its substitute says of it."""

from thief import BUDGET, POOL, TINY, Blur, everything, flags, run, victim_of

from queen_ref.attacks import steal
from queen_ref.attacks.ddae import GUESSED_STATE
from queen_ref.attacks.flags import DIVERGED, KNOWS_CLEAN, LEARNED_NOTHING, outcome_of
from queen_ref.attacks.smoothing import MORE_QUERIES
from queen_ref.metrics import predict


def test_the_flags_say_what_a_result_hides():
    assert flags(run("naive", "random")[0]) == []
    assert flags(run("smoothing", "random")[0]) == [MORE_QUERIES]
    assert flags(run("bayes", "random")[0]) == [KNOWS_CLEAN]
    victim = victim_of(3)
    knowledge = everything(victim)
    knowledge.defense.stateful = True
    theft = steal(Blur(victim), POOL, BUDGET, "random", "ddae", knowledge, TINY)
    assert flags(theft) == [GUESSED_STATE]
    knowledge.defense.copy_flags = ("his copy is a very good one",)
    for attack, state in (("bayes", []), ("ddae+", []), ("ddae", [GUESSED_STATE])):
        theft = steal(Blur(victim), POOL, BUDGET, "random", attack, knowledge, TINY)
        clean = [KNOWS_CLEAN] if attack != "ddae" else []
        # D-DAE+ and p-Bayes replay the very queries: nobody may say that they could not.
        assert flags(theft) == [*state, "his copy is a very good one", *clean]


def test_a_substitute_is_told_by_its_weights_and_by_its_own_labels():
    model = victim_of(3)
    labels = predict(model, POOL)
    assert outcome_of(model, POOL, labels) == []
    assert outcome_of(model, POOL, labels.roll(1, 1)) == [LEARNED_NOTHING]
    model.head.weight.data[0, 0] = float("nan")
    assert outcome_of(model, POOL, labels) == [DIVERGED]
