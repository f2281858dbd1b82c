"""Attacks of one's own: what a recovery and a policy may ask for, and what is refused."""

import pytest
import torch
from thief import BUDGET, POOL, TINY, Blur, everything, flags, victim_of

import queen_ref as qr
from queen_ref.attacks import ATTACKS, POLICIES, Attack, register, register_policy, steal
from queen_ref.attacks.attack import worth
from queen_ref.attacks.flags import KNOWS_CLEAN
from queen_ref.attacks.registry import NO_STATE, RECOVERIES, check_policy
from queen_ref.attacks.smoothing import MORE_QUERIES


@pytest.fixture(autouse=True)
def registries():
    before = dict(ATTACKS), dict(POLICIES)
    yield
    for known, kept in zip((ATTACKS, POLICIES), before, strict=True):
        known.clear()
        known.update(kept)


class Oracle:
    """Labels from the clean answers: what it needs and says of itself."""

    name, needs, adaptive, flags = "oracle", ("clean", "defense"), True, ("it is an oracle",)
    policies = ("random",)

    def begin(self, pool, knowledge, sizes, seed):
        return lambda images, answers: knowledge.clean(images)


def halves(ask, pool, budget, train, seed):
    images = pool[: budget // 2]
    answers = ask(images)
    assert train(images, answers)(images).shape == answers.shape
    return images, answers


def greedy(ask, pool, budget, train, seed, sizes):
    for _ in range(2):
        answers = ask(pool[:budget])
    assert sizes is TINY
    return pool[:budget], answers


def thieve(policy="random", attack="naive", **changes):
    victim = victim_of(3)
    api = qr.BlackBox(Blur(victim))
    knowledge = changes.get("knowledge") or everything(victim)
    return steal(api, POOL, BUDGET, policy, attack, knowledge, TINY), victim


def test_an_own_recovery_gets_what_it_needs_and_says_what_it_is():
    theft, victim = thieve(attack=Attack(Oracle()))
    assert torch.equal(theft.labels, qr.metrics.predict(victim, theft.images))
    assert flags(theft) == ["it is an oracle", KNOWS_CLEAN]
    knowledge = everything(victim)
    knowledge.defense.stateful = True
    assert NO_STATE in thieve(attack=Attack(Oracle()), knowledge=knowledge)[0].flags


def test_a_plain_function_is_a_recovery():
    theft, _ = thieve(attack=Attack(lambda images, answers: answers.flip(1)))
    assert torch.equal(theft.labels, theft.answers.flip(1)) and flags(theft) == []


def test_an_own_policy_chooses_and_one_that_sends_more_is_flagged():
    theft, _ = thieve(policy=halves)
    assert len(theft.images) == theft.queries == BUDGET // 2 and flags(theft) == []
    theft, _ = thieve(policy=greedy)
    assert theft.queries == 2 * BUDGET and flags(theft) == [MORE_QUERIES]


def test_a_name_is_as_good():
    assert register(Oracle(), "seer") and register_policy(halves) is halves
    assert ATTACKS["seer"].needs == ("clean", "defense") and "halves" in POLICIES
    assert thieve("random", "seer")[0].flags[0] == "it is an oracle"
    assert thieve("halves")[0].queries == BUDGET // 2


@pytest.mark.parametrize("name", RECOVERIES)
def test_every_recovery_of_the_package_says_only_what_is_known(name):
    attack = Attack(name)
    assert set(attack.needs) <= {"defense", "pool_labels", "clean", "codebook"}
    assert attack.adaptive == ("defense" in attack.needs)
    assert attack.suits("random") and attack.suits("jbda-tr") == (name != "smoothing")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Attack("nave"), "recovery: expected one of"),
        (lambda: Attack("top1", "s5l"), "training: expected one of"),
        (lambda: Attack(Oracle), r"got a class: give an object of it, Oracle\(\)"),
        (lambda: Attack(lambda answers: answers), r"got <lambda>\(answers\)"),
        (lambda: Attack(3), "recovery: expected"),
        (lambda: Attack(type("A", (), {"needs": ("clean",), "__call__": len})()), "begin"),
        (lambda: Attack(type("A", (Oracle,), {"needs": ("everything",)})()), "needs: expected"),
        (lambda: Attack(type("A", (Oracle,), {"needs": "clean"})()), "a tuple of words"),
        (lambda: register(Oracle(), "naive"), "is the package's"),
        (lambda: register(Oracle(), "a,b"), "expected a name"),
        (lambda: register(Oracle(), ""), "expected a name"),
        (lambda: register_policy(halves, "random"), "is the package's"),
        (lambda: register_policy(lambda pool: pool), "policy: expected"),
        (lambda: check_policy(int), "policy: expected"),
    ],
)
def test_what_could_not_work_is_refused_at_once(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (dict(policy=halves, attack=Attack(Oracle())), "policy: expected one that suits"),
        (dict(attack=Attack(lambda images, answers: answers[:1])), "recovery: expected labels"),
        (dict(attack=Attack(lambda images, answers: None)), "recovery: .* got NoneType of"),
        (dict(attack=Attack(lambda images, answers: 2 * answers)), "recovery: labels of .* sim"),
        (dict(policy=lambda a, p, b, t, s: a(p[:5])), "policy: expected images, answers, got Ten"),
        (dict(policy=lambda a, p, b, t, s: None), "policy: expected images, answers, got NoneType"),
        (dict(policy=lambda a, p, b, t, s: (p[:60], a(p[:60]))), "policy: expected at most 45"),
        (dict(policy=lambda a, p, b, t, s: (p[:5], a(p[:6]))), "policy: expected at most 45"),
    ],
)
def test_what_does_not_fit_is_one_line(words, says):
    with pytest.raises(ValueError, match=says) as told:
        thieve(**words)
    assert "\n" not in str(told.value)


def test_a_row_of_zeros_leaves_an_image_out_and_the_end_may_be_changed():
    class Picky:
        name = "picky"

        def __call__(self, images, answers):
            return answers * (torch.arange(len(answers)) % 2)[:, None]

        def finish(self, substitute, pool, knowledge, seed):
            assert pool is POOL and seed == 0
            return torch.nn.Sequential(substitute)

    theft, _ = thieve(attack=Attack(Picky()))
    assert isinstance(theft.substitute, torch.nn.Sequential) and len(theft.labels) == BUDGET
    half = worth(theft.images, theft.labels)
    assert len(half[0]) == BUDGET // 2 and torch.equal(half[1], theft.answers[1::2])
    with pytest.raises(ValueError, match="all were left out"):
        thieve(attack=Attack(lambda images, answers: 0 * answers))


def test_an_attack_with_a_policy_of_its_own_goes_with_no_other():
    assert Attack(policy="jbda-tr").suits("jbda-tr") and not Attack(policy="jbda-tr").suits(
        "random"
    )
    assert Attack("top1", policy="jbda-tr").name == "top1+jbda-tr"
    with pytest.raises(ValueError, match="policy: expected one of"):
        Attack(policy="best")
