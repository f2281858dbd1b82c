"""Flags: what a reader of a result must know, for the numbers alone would mislead.

Some follow from what an attack is and knows, some from the substitute that came of it.
"""

from torch import Tensor, nn

from queen_ref.attacks.knowledge import Knowledge
from queen_ref.attacks.registry import Attack
from queen_ref.attacks.training import is_finite, near_chance
from queen_ref.metrics import agreement, predict

KNOWS_CLEAN = "attacker knows the victim's clean answers"
DIVERGED = "the substitute's training diverged: its weights are not finite"
LEARNED_NOTHING = "substitute near chance on its own training images"


def flags_of(attack: Attack, knowledge: Knowledge) -> list[str]:
    """What a reader of the result must know about the attack.

    >>> flags_of(Attack("smoothing"), Knowledge())
    ['more queries sent than the nominal budget']
    """
    flags = list(attack.flags)
    if attack.adaptive and knowledge.defense is not None:
        if knowledge.defense.stateful:
            flags += attack.state_flags
        flags += getattr(knowledge.defense, "copy_flags", ())
    if "clean" in attack.needs:
        flags.append(KNOWS_CLEAN)
    return flags


def outcome_of(substitute: nn.Module, images: Tensor, labels: Tensor) -> list[str]:
    """What is wrong with a substitute trained on labels (N, K) for images (N, C, H, W), if any.

    >>> outcome_of(victim, queries, answers)
    []
    """
    if not is_finite(substitute):
        return [DIVERGED]
    share = agreement(predict(substitute, images).argmax(1), labels.argmax(1))
    return [LEARNED_NOTHING] if near_chance(share, labels.shape[1], len(images)) else []
