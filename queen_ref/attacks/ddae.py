"""D-DAE: a network that undoes the defence (Chen et al., 2023).

The thief copies the defence, feeds it clean answers y he has himself, and trains a small net
(`queen_ref.attacks.recovery_net`) to go back. Where y comes from makes two attacks. D-DAE trains
shadow nets on his own labelled pool: they answer like a victim, about other classes. D-DAE+ draws
y around the victim's clean answers (`queen_ref.attacks.dirichlet`), which is a much stronger
attacker.

A defence with a memory answers by what was asked before, so the copy is shown what the real one
was: the thief's own queries, in his order, from an empty memory; anew for each shadow net, who
answers in the victim's place. What the victim answered he does not know, so the memory is a
guess. `ddae-codebook` needs no guess: he holds the codebook of the deployed ModelGuard-S as it
stands after his queries, as the literature lets him.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from queen_ref.attacks.dirichlet import dirichlet_table
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.recovery import replay, simulate
from queen_ref.attacks.recovery_net import apply, train_recovery
from queen_ref.checks import check_labels
from queen_ref.defenses.base import Defense
from queen_ref.metrics import predict
from queen_ref.models import build, shape_of
from queen_ref.progress import progress
from queen_ref.training.fit import fit
from queen_ref.training.recipe import Recipe

GUESSED_STATE = "adaptive attacker guessed the state: his queries, with his shadow nets' answers"


class DDAE:
    """Recovery by a net trained on shadow nets' answers.

    Against a defence without a memory it needs no query, so it is made once; else it is made of
    the queries so far.

    >>> recover = DDAE(pool, knowledge, sizes, seed=0)
    >>> labels = recover(queries, answers)
    """

    needs: tuple[str, ...] = ("defense", "pool_labels")
    adaptive = True
    state_flags: tuple[str, ...] = (GUESSED_STATE,)
    edition, scaled_by = 2, ("recovery_steps",)  # 1: classes in random order, few steps

    def __init__(self, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int = 0):
        self.pool, self.knowledge, self.sizes, self.seed = pool, knowledge, sizes, seed
        self.nets: list[nn.Module] = []  # K is known with the first answer
        self.net: nn.Module | None = None

    @classmethod
    def begin(cls, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int) -> "DDAE":
        """As every recovery is begun."""
        return cls(pool, knowledge, sizes, seed)

    @staticmethod
    def check(knowledge: Knowledge, classes: int) -> None:
        """Before the first query: `ValueError` for a pool with fewer classes than the API."""
        if knowledge.pool_labels is not None:
            check_present(len(knowledge.pool_labels.unique()), classes)

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        knowledge, sizes, seed = self.knowledge, self.sizes, self.seed
        if not self.nets:
            self.nets = shadow_nets(self.pool, knowledge, answers.shape[1], sizes, seed)
        copy_of = self.copies()
        if self.net is None or copy_of is not None:
            if copy_of is None:
                table = pool_table(self.nets, self.pool, knowledge, sizes, seed)
            else:
                table = stream_table(self.nets, images, copy_of, sizes)
            self.net = trained(table, sizes, seed)
        return apply(self.net, answers)

    def copies(self) -> Callable[[], Defense] | None:
        """What makes the copies that are shown the queries; `None`: their order does not matter."""
        defense = self.knowledge.defense
        return defense.fresh if defense is not None and defense.stateful else None


class DDAECodebook(DDAE):
    """D-DAE by one who holds the codebook of the ModelGuard-S that answered him.

    >>> labels = DDAECodebook(pool, knowledge, sizes, seed=0)(queries, answers)  # doctest: +SKIP
    """

    needs = ("defense", "pool_labels", "codebook")
    flags = ("his copy holds the codebook of the deployed defence",)
    state_flags = ()
    on_request = True

    def copies(self) -> Callable[[], Defense] | None:
        """Each with the codebook as it stands."""
        return self.knowledge.codebook


class DDAEPlus:
    """Recovery by a net trained around the clean answers to the very queries; made anew each time.

    >>> labels = DDAEPlus(knowledge, sizes, seed=0)(queries, answers)
    """

    needs = ("defense", "clean")
    adaptive = True
    state_flags = ()  # his copy is shown the very queries, with what the victim nearly said
    edition, scaled_by = 2, ("recovery_steps",)

    def __init__(self, knowledge: Knowledge, sizes: Sizes, seed: int = 0):
        self.knowledge, self.sizes, self.seed = knowledge, sizes, seed

    @classmethod
    def begin(cls, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int) -> "DDAEPlus":
        """As every recovery is begun."""
        return cls(knowledge, sizes, seed)

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        table = dirichlet_table(images, self.knowledge, self.sizes, self.seed)
        return apply(trained(table, self.sizes, self.seed), answers)


def trained(table: tuple[Tensor, Tensor], sizes: Sizes, seed: int) -> nn.Module:
    """The recovery net for a table of clean and perturbed answers, as long as the thief can pay.

    >>> net = trained((clean, perturbed), sizes, seed=0)
    """
    return train_recovery(*table, sizes.recovery_epochs, seed, sizes.recovery_steps)


def shadow_table(
    pool: Tensor, knowledge: Knowledge, num_classes: int, sizes: Sizes, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Clean and perturbed answers (T, K) of `shadow_nets` and `pool_table`, one after the other.

    >>> clean, perturbed = shadow_table(pool, knowledge, 10, Sizes(shadow_nets=5))
    """
    nets = shadow_nets(pool, knowledge, num_classes, sizes, seed)
    return pool_table(nets, pool, knowledge, sizes, seed)


def shadow_nets(
    pool: Tensor, knowledge: Knowledge, num_classes: int, sizes: Sizes, seed: int = 0
) -> list[nn.Module]:
    """Small CNNs that answer about K = `num_classes` classes, as many as `sizes` says.

    Every net learns K classes drawn from the pool's own, in random order. A pool with exactly K
    classes leaves nothing to draw: its classes are taken for the API's, in their own order, and
    each net learns all of them on a random half of the pool. An order of its own would set the
    label of a simulated answer against the image, and a defence that looks at images would answer
    what the real one never does.
    Errors: `ValueError` for a pool with fewer than K classes.

    >>> nets = shadow_nets(pool, knowledge, 10, Sizes(shadow_nets=5))
    """
    if knowledge.pool_labels is None or knowledge.defense is None:
        raise ValueError("knowledge: expected pool_labels and a copy of the defense")
    check_labels(knowledge.pool_labels, len(pool))
    labels = knowledge.pool_labels.to(pool.device)
    present = labels.unique()  # in ascending order
    check_present(len(present), num_classes)
    recipe = Recipe(epochs=sizes.shadow_epochs)
    generator = torch.Generator().manual_seed(int(seed))
    nets: list[nn.Module] = []
    for number in progress(range(sizes.shadow_nets), desc="shadow nets"):
        if len(present) == num_classes:
            chosen, half = present, (len(pool) + 1) // 2
            own = torch.randperm(len(pool), generator=generator)[:half].to(pool.device)
        else:
            order = torch.randperm(len(present), generator=generator)[:num_classes]
            chosen = present[order.to(present.device)]  # class j of the net is chosen[j]
            own = torch.isin(labels, chosen).nonzero().flatten()
        targets = (labels[own][:, None] == chosen).long().argmax(1)
        model_seed = 1000 * (int(seed) + 1) + number
        net = build(recipe.model, shape_of(pool), num_classes, seed=model_seed)
        net = net.to(pool.device, pool.dtype)
        fit(net, pool[own], targets, recipe, seed=model_seed, desc="shadow net")
        nets.append(net)
    return nets


def pool_table(
    nets: Sequence[nn.Module], pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Clean and perturbed answers (T, K), at most `table` rows, for a defence without a memory.

    Each net answers about images drawn from the whole pool: known and strange ones, as a victim's
    queries are.

    >>> clean, perturbed = pool_table(nets, pool, knowledge, sizes)     # doctest: +SKIP
    """
    if knowledge.defense is None:
        raise ValueError("knowledge: expected a copy of the defense")
    share = min(len(pool), max(1, sizes.table // len(nets)))
    generator = torch.Generator().manual_seed(int(seed))
    rows = [torch.randperm(len(pool), generator=generator)[:share].to(pool.device) for _ in nets]
    clean = torch.cat([predict(net, pool[asked]) for net, asked in zip(nets, rows, strict=True)])
    return clean, simulate(knowledge.defense, pool, torch.cat(rows), clean)


def stream_table(
    nets: Sequence[nn.Module], queries: Tensor, copy_of: Callable[[], Defense], sizes: Sizes
) -> tuple[Tensor, Tensor]:
    """Clean and perturbed answers (T, K), at most `table` rows, for a defence with a memory.

    For each net a copy of its own sees the queries (N, C, H, W) in their order; where the table is
    small, the first of them.

    >>> clean, perturbed = stream_table(nets, queries, queen.fresh, sizes)      # doctest: +SKIP
    """
    asked = queries[: max(2, sizes.table // len(nets))]
    rows = torch.arange(len(asked), device=asked.device)
    clean = [predict(net, asked) for net in nets]
    return torch.cat(clean), torch.cat([replay(copy_of(), asked, rows, y) for y in clean])


def check_present(present: int, num_classes: int) -> None:
    """Demand a pool with as many classes as the API has: a shadow net answers about all of them.

    >>> check_present(5, num_classes=10)
    Traceback (most recent call last):
    ValueError: pool_labels: expected at least the API's 10 classes, got 5
    """
    if present < num_classes:
        raise ValueError(
            f"pool_labels: expected at least the API's {num_classes} classes, got {present}"
        )
