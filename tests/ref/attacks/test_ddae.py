"""D-DAE: shadow nets, a table of answers, and a net that undoes the defence."""

from dataclasses import replace

import pytest
import torch
from thief import BUDGET, POOL, TINY, Blur, everything, simplex, victim_of

from queen_ref.attacks import steal
from queen_ref.attacks.ddae import apply, shadow_table, train_recovery


def test_a_pool_with_fewer_classes_than_the_victim_gives_no_shadow_nets():
    knowledge = replace(everything(victim_of(3)), pool_labels=torch.arange(60) % 2)
    with pytest.raises(ValueError, match="at least the API's 3 classes, got 2"):
        steal(Blur(victim_of(3)), POOL, BUDGET, "random", "ddae", knowledge, TINY)


def test_the_recovery_net_undoes_a_simple_perturbation():
    clean, fresh = simplex(4000, 5, 0), simplex(500, 5, 1)

    def perturb(probs):
        return (probs + probs.roll(1, 1)) / 2

    net = train_recovery(clean, perturb(clean), epochs=30)
    before = (perturb(fresh) - fresh).abs().sum(1).mean()
    after = (apply(net, perturb(fresh)) - fresh).abs().sum(1).mean()
    # 0.13 to 0.15 with 10 seeds, 1 and 2 threads, AVX2 and AVX-512.
    assert float(after) < 0.5 * float(before)


@pytest.mark.parametrize("present", [3, 5])
def test_shadow_nets_answer_with_the_victims_number_of_classes(present):
    knowledge = replace(everything(victim_of(3)), pool_labels=torch.arange(60) % present + 7)
    clean, perturbed = shadow_table(POOL, knowledge, 3, replace(TINY, table=100))
    assert clean.shape == (100, 3) and knowledge.defense.simulated == 100
    torch.testing.assert_close(perturbed, (clean + 1 / 3) / 2)
