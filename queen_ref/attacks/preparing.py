"""Before the first query: everything that would end an attack half-way is found here.

Queries are paid for. Whatever does not fit, in the attack, in what the thief knows or at the API's
door, is said while none has been sent.
"""

from collections.abc import Callable

from torch import Tensor

from queen_ref.attacks.asking import check_door
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.policies import Policy
from queen_ref.attacks.registry import POLICIES, Attack, check_policy
from queen_ref.attacks.s4l import check_square
from queen_ref.checks import check_images, check_labels, check_number
from queen_ref.defenses.base import num_classes
from queen_ref.registry import label_of, says


def check_attack(
    pool: Tensor,
    budget: int,
    policy: str | Policy,
    attack: Attack,
    knowledge: Knowledge,
    sizes: Sizes,
) -> None:
    """Demand a combination that makes sense and a thief who has what it needs.

    >>> check_attack(pool, 40, "random", Attack(), knowledge, sizes)
    """
    check_images(pool)
    check_number("budget", budget, low=1, integer=True)
    chosen = POLICIES.find(policy) if isinstance(policy, str) else policy
    check_policy(chosen)
    takes = getattr(chosen, "takes", None)
    asked = takes(budget, sizes) if takes is not None else 0
    if asked > len(pool):
        raise ValueError(f"budget: expected at most the pool's {len(pool)} images, got {asked}")
    listed = (name for name, known in POLICIES.items() if known is policy)
    word = policy if isinstance(policy, str) else next(listed, label_of(policy))
    if not attack.suits(word):
        raise ValueError(f"policy: expected one that suits the attack {attack.name}, got {word!r}")
    if attack.training != "plain":  # the others turn the pool's images
        check_square(pool)
    for part in attack.needs:
        if getattr(knowledge, part) is None:
            what = {"defense": "a copy of the defense", "clean": "the clean answers",
                    "codebook": "the codebook that answered"}  # fmt: skip
            raise ValueError(f"knowledge: expected {what.get(part, part)} for {attack.name}")
    if "pool_labels" in attack.needs and knowledge.pool_labels is not None:
        check_labels(knowledge.pool_labels, len(pool))


def check_answerable(
    api: Callable[[Tensor], Tensor],
    pool: Tensor,
    budget: int,
    attack: Attack,
    knowledge: Knowledge,
) -> None:
    """Demand an API that will answer the whole attack, as far as that can be known before.

    Errors: `ValueError`, `BudgetExceeded`.

    >>> check_answerable(api, pool, 40, Attack(), knowledge)
    """
    classes = check_door(api, pool, budget * getattr(attack.method, "times", 1))
    classes = classes or num_classes(getattr(knowledge.defense, "victim", None))
    check = says(attack.method, "check", None)
    if check is not None and classes is not None:  # else it is known with the first answer
        check(knowledge, classes)
