"""D-DAE: shadow nets, and what the copy of the defence is shown."""

from dataclasses import replace

import pytest
import torch
from blocks import Blocks, blocks
from thief import BUDGET, POOL, TINY, Blur, everything, victim_of

import queen_ref as qr
from queen_ref.arena.grid import suits
from queen_ref.attacks import Knowledge, steal
from queen_ref.attacks.ddae import DDAE, DDAECodebook, shadow_nets, shadow_table, stream_table
from queen_ref.defenses import ModelGuardS


def test_a_pool_with_fewer_classes_than_the_victim_gives_no_shadow_nets():
    knowledge = replace(everything(victim_of(3)), pool_labels=torch.arange(60) % 2)
    with pytest.raises(ValueError, match="at least the API's 3 classes, got 2"):
        steal(Blur(victim_of(3)), POOL, BUDGET, "random", "ddae", knowledge, TINY)


@pytest.mark.parametrize("present", [3, 5])
def test_shadow_nets_answer_with_the_victims_number_of_classes(present):
    knowledge = replace(everything(victim_of(3)), pool_labels=torch.arange(60) % present + 7)
    clean, perturbed = shadow_table(POOL, knowledge, 3, replace(TINY, table=100))
    assert clean.shape == (100, 3) and knowledge.defense.simulated == 100
    torch.testing.assert_close(perturbed, (clean + 1 / 3) / 2)


def test_a_pool_of_exactly_the_apis_classes_keeps_their_order():
    # Else a simulated answer says another class than its image, and a defence that looks at
    # images is copied wrongly.
    images, labels = blocks(160)
    knowledge = Knowledge(qr.NoDefense(Blocks()), labels + 7)
    nets = shadow_nets(images, knowledge, 4, replace(TINY, shadow_nets=4, shadow_epochs=15))
    for net in nets:
        said = qr.metrics.predict(net, images).argmax(1)
        assert qr.metrics.agreement(said, labels) > 0.9


class Counter(qr.defenses.Defense):
    """The n-th answer of a copy is one-hot at n modulo K; it remembers what it was shown."""

    name, stateful, copies = "counter", True, []

    def __init__(self, victim):
        super().__init__(victim)
        self.seen = []

    def answer(self, images, probs):
        first = sum(map(len, self.seen))
        self.seen.append(images)
        return torch.eye(probs.shape[1])[(first + torch.arange(len(probs))) % probs.shape[1]]

    def fresh(self):
        self.copies.append(Counter(self.victim))
        return self.copies[-1]


def test_the_copy_of_a_defence_with_a_memory_sees_the_queries_in_their_order():
    Counter.copies.clear()
    victim = victim_of(3)
    knowledge = replace(everything(victim), defense=Counter(victim))
    theft = steal(Blur(victim), POOL, BUDGET, "random", "ddae", knowledge, TINY)
    assert len(Counter.copies) == TINY.shadow_nets
    for copy in Counter.copies:
        assert torch.equal(torch.cat(copy.seen), theft.images)


def test_queries_that_came_later_make_another_net():
    victim = victim_of(3)
    recover = DDAE(POOL, replace(everything(victim), defense=Counter(victim)), TINY, seed=0)
    answers = victim(POOL).softmax(1).detach()
    recover(POOL[:20], answers[:20])
    nets, first = recover.nets, recover.net
    recover(POOL[:40], answers[:40])
    assert recover.nets is nets and recover.net is not first
    stateless = DDAE(POOL, everything(victim), TINY, seed=0)
    stateless(POOL[:20], answers[:20])
    first = stateless.net
    stateless(POOL[:40], answers[:40])
    assert stateless.net is first


def test_a_small_table_holds_the_first_queries():
    clean, perturbed = stream_table(
        [victim_of(3)] * 2, POOL, Counter(victim_of(3)).fresh, replace(TINY, table=20)
    )
    assert torch.equal(perturbed, torch.eye(3)[torch.arange(10) % 3].repeat(2, 1))


def test_who_holds_the_codebook_undoes_with_it():
    images, labels = blocks(80)
    deployed = ModelGuardS(Blocks(), epsilon=2.0)  # one codeword a class, the first query's
    api = qr.BlackBox(deployed)
    knowledge = Knowledge(deployed.fresh(), labels, codebook=deployed.held)
    theft = steal(api, images, 60, "random", "ddae-codebook", knowledge, TINY)
    assert "his copy holds the codebook of the deployed defence" in theft.flags
    book = deployed.codebook
    method = DDAECodebook(images, knowledge, TINY)
    table = stream_table([Blocks()], theft.images, method.copies(), TINY)
    # Each simulated answer is a codeword of the deployed defence, and none went into its book.
    assert bool((torch.cdist(table[1], book, p=1).amin(1) < 1e-6).all())
    assert torch.equal(deployed.codebook, book)


def test_who_holds_the_codebook_needs_one():
    assert suits("ddae-codebook", "random", "modelguard-s")
    assert not any(suits("ddae-codebook", "random", n) for n in ("queen", "modelguard-w", "none"))
    with pytest.raises(ValueError, match="knowledge: expected the codebook that answered"):
        knowledge = replace(everything(victim_of(3)), codebook=None)
        steal(Blur(victim_of(3)), POOL, BUDGET, "random", "ddae-codebook", knowledge, TINY)
