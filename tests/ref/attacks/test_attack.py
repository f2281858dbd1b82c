"""Every attack: what it costs, and what comes of it."""

from dataclasses import replace

import pytest
import torch
from blocks import Blocks, blocks
from thief import BUDGET, POOL, TINY, Blur, equal, everything, flags, run, victim_of

import queen_ref as qr
from queen_ref.attacks import ATTACKS, POLICIES, Attack, steal
from queen_ref.attacks.attack import worth
from queen_ref.attacks.flags import DIVERGED, LEARNED_NOTHING
from queen_ref.attacks.preparing import check_attack
from queen_ref.attacks.smoothing import MORE_QUERIES
from queen_ref.checks import check_probabilities
from queen_ref.training import Recipe

OWN = {name: attack.policy or "random" for name, attack in ATTACKS.items()}  # a policy for each
COMBINATIONS = [
    (attack, policy)
    for attack in ATTACKS
    for policy in dict.fromkeys([OWN[attack], *POLICIES.usual])
    if ATTACKS[attack].suits(policy)
]


def times(attack, policy):
    """Queries for one of the nominal budget."""
    return getattr(ATTACKS[attack].method, "times", 1) * asked(policy)


def asked(policy):
    """Images for one of the nominal budget."""
    return getattr(POLICIES[policy], "times", 1)


@pytest.mark.parametrize("classes", [2, 100])
@pytest.mark.parametrize(("attack", "policy"), COMBINATIONS)
def test_an_attack_sends_its_budget_and_trains_on_probabilities(attack, policy, classes):
    theft, api = run(attack, policy, classes)
    assert api.queries == theft.queries == BUDGET * times(attack, policy)
    count = BUDGET * asked(policy)
    assert theft.images.shape == (count, 1, 8, 8)
    assert theft.answers.shape == theft.labels.shape == (count, classes)
    check_probabilities("labels", worth(theft.images, theft.labels)[1])
    assert theft.substitute(POOL).shape == (len(POOL), classes)
    assert list(theft.seconds) == ["queries", "recovery", "training"]


@pytest.mark.parametrize(("attack", "policy"), COMBINATIONS)
def test_the_seed_decides_the_substitute(attack, policy):
    one, same, other = (run(attack, policy, seed=seed)[0].substitute for seed in (0, 0, 1))
    assert equal(one, same)
    assert not equal(one, other)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_spent_budget_is_reported_by_every_attack(attack):
    victim = victim_of(3)
    api = qr.BlackBox(Blur(victim), budget=BUDGET - 1)
    with pytest.raises(qr.BudgetExceeded):
        steal(api, POOL, BUDGET, OWN[attack], attack, everything(victim), TINY)
    assert api.queries == 0


def test_an_attack_is_more_than_its_nominal_budget_only_with_a_flag():
    for attack, policy in OWN.items():
        dear = [MORE_QUERIES] if times(attack, policy) > 1 else []
        assert [flag for flag in flags(run(attack, policy)[0]) if flag == MORE_QUERIES] == dear


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_of_the_list_is_known_by_its_name_and_as_itself(name):
    (attack, *_) = [one for one, own in OWN.items() if own == name] or ["naive"]
    knowledge = everything(victim_of(3))
    check_attack(POOL, BUDGET, name, ATTACKS[attack], knowledge, TINY)
    check_attack(POOL, BUDGET, POLICIES[name], ATTACKS[attack], knowledge, TINY)


def test_only_the_last_training_is_watched():
    seen, victim = [], victim_of(3)
    steal(
        Blur(victim),
        POOL,
        BUDGET,
        "jbda-tr",
        sizes=TINY,
        after_epoch=lambda epoch, model: seen.append(epoch),
    )
    assert seen == [0, 1]


@pytest.mark.parametrize("policy", POLICIES.usual)
def test_a_substitute_that_learned_nothing_is_flagged(policy):
    images, labels = blocks(80)
    api = qr.NoDefense(Blocks())
    good = steal(api, images, 80, sizes=sizes_of(lr=0.1))
    assert good.flags == []
    shuffled = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    answers = torch.eye(4)[labels[shuffled]]  # by chance, so nothing can be learned in one epoch
    seeds = 80 if policy == "random" else 20
    sizes = replace(sizes_of(lr=1e-9), jbda_seeds=seeds)
    luck = steal(lambda x: answers[: len(x)], images, 80, policy, sizes=sizes)
    assert luck.flags == [LEARNED_NOTHING]


@pytest.mark.parametrize("lr", [1e20, 1e30])
def test_a_training_that_diverged_is_flagged_and_the_answers_are_kept(lr):
    theft = steal(qr.NoDefense(Blocks()), blocks(80)[0], 80, sizes=sizes_of(lr))
    assert theft.flags == [DIVERGED] and theft.answers.shape == (80, 4)


def test_a_learning_rate_of_500_is_flagged():
    theft = steal(qr.NoDefense(Blocks()), blocks(80)[0], 80, sizes=sizes_of(500.0))
    assert theft.flags in ([DIVERGED], [LEARNED_NOTHING])


def test_a_round_of_jbda_that_diverges_ends_the_attack_in_one_line():
    api = qr.BlackBox(qr.NoDefense(Blocks()))
    with pytest.raises(ValueError, match="^substitute: expected finite weights"):
        steal(api, blocks(80)[0], 80, "jbda-tr", sizes=replace(sizes_of(1e30), jbda_seeds=20))


def sizes_of(lr):
    return replace(TINY, recipe=Recipe(epochs=4, batch_size=16, lr=lr), query_batch=80)


def test_recovery_and_training_combine_freely():
    theft, api = run(Attack("smoothing", "s4l"), "random")
    assert api.queries == 3 * BUDGET and not equal(
        theft.substitute, run("smoothing", "random")[0].substitute
    )
