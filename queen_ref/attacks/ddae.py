"""D-DAE: a network that undoes the defence (Chen et al., 2023).

The thief copies the defence, feeds it clean answers y he has himself, and trains a small net g
to go back,

    min_g  mean  sum_k | g(y')_k - y_k | .

Where y comes from makes two attacks. D-DAE trains shadow nets on his own labelled pool: they
answer like a victim, about other classes. D-DAE+ draws y around the victim's clean answers
(`queen_ref.attacks.dirichlet`), which is a much stronger attacker.
"""

import torch
from torch import Tensor, nn

from queen_ref.attacks.dirichlet import dirichlet_table
from queen_ref.attacks.knowledge import Knowledge, Sizes
from queen_ref.attacks.recovery import simulate
from queen_ref.checks import check_labels
from queen_ref.metrics import predict
from queen_ref.models import build, dtype_of, shape_of
from queen_ref.modes import evaluating
from queen_ref.progress import progress
from queen_ref.training.cuda_graph import GraphedStep, recorder_for
from queen_ref.training.fit import batches, fit
from queen_ref.training.recipe import Recipe

BATCH = 1024


class DDAE:
    """Recovery by a net trained on shadow nets' answers. It needs no query, so it is made once.

    >>> recover = DDAE(pool, knowledge, sizes, seed=0)
    >>> labels = recover(queries, answers)
    """

    needs = ("defense", "pool_labels")
    adaptive = True

    def __init__(self, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int = 0):
        self.pool, self.knowledge, self.sizes, self.seed = pool, knowledge, sizes, seed
        self.net: nn.Module | None = None  # K is known with the first answer

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
        if self.net is None:
            table = shadow_table(self.pool, self.knowledge, answers.shape[1], self.sizes, self.seed)
            self.net = train_recovery(*table, epochs=self.sizes.recovery_epochs, seed=self.seed)
        return apply(self.net, answers)


class DDAEPlus:
    """Recovery by a net trained around the clean answers to the very queries; made anew each time.

    >>> labels = DDAEPlus(knowledge, sizes, seed=0)(queries, answers)
    """

    needs = ("defense", "clean")
    adaptive = True

    def __init__(self, knowledge: Knowledge, sizes: Sizes, seed: int = 0):
        self.knowledge, self.sizes, self.seed = knowledge, sizes, seed

    @classmethod
    def begin(cls, pool: Tensor, knowledge: Knowledge, sizes: Sizes, seed: int) -> "DDAEPlus":
        """As every recovery is begun."""
        return cls(knowledge, sizes, seed)

    def __call__(self, images: Tensor, answers: Tensor) -> Tensor:
        table = dirichlet_table(images, self.knowledge, self.sizes, self.seed)
        net = train_recovery(*table, epochs=self.sizes.recovery_epochs, seed=self.seed)
        return apply(net, answers)


def shadow_table(
    pool: Tensor, knowledge: Knowledge, num_classes: int, sizes: Sizes, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Clean and perturbed answers (T, K) of `shadow_nets` small CNNs, at most `table` rows.

    Every net learns K = `num_classes` classes drawn from the pool's own, in random order, and
    answers about images drawn from the whole pool: known and strange ones, as a victim's
    queries are. A pool with exactly K classes leaves no subset to draw: each net then learns
    all of them, in a random order of its own, on a random half of the pool.
    Errors: `ValueError` for a pool with fewer than K classes.

    >>> clean, perturbed = shadow_table(pool, knowledge, 10, Sizes(shadow_nets=5))
    """
    if knowledge.pool_labels is None or knowledge.defense is None:
        raise ValueError("knowledge: expected pool_labels and a copy of the defense")
    check_labels(knowledge.pool_labels, len(pool))
    labels = knowledge.pool_labels.to(pool.device)
    present = labels.unique()
    check_present(len(present), num_classes)
    recipe = Recipe(epochs=sizes.shadow_epochs)
    generator = torch.Generator().manual_seed(int(seed))
    share = min(len(pool), max(1, sizes.table // sizes.shadow_nets))
    answers, rows = [], []
    for number in progress(range(sizes.shadow_nets), desc="shadow nets"):
        order = torch.randperm(len(present), generator=generator)[:num_classes]
        chosen = present[order.to(present.device)]  # class j of the net is chosen[j]
        if len(present) == num_classes:
            half = (len(pool) + 1) // 2
            own = torch.randperm(len(pool), generator=generator)[:half].to(pool.device)
        else:
            own = torch.isin(labels, chosen).nonzero().flatten()
        targets = (labels[own][:, None] == chosen).long().argmax(1)
        model_seed = 1000 * (int(seed) + 1) + number
        net = build(recipe.model, shape_of(pool), num_classes, seed=model_seed)
        net = net.to(pool.device, pool.dtype)
        fit(net, pool[own], targets, recipe, seed=model_seed, desc="shadow net")
        asked = torch.randperm(len(pool), generator=generator)[:share].to(pool.device)
        answers.append(predict(net, pool[asked]))
        rows.append(asked)
    clean = torch.cat(answers)
    return clean, simulate(knowledge.defense, pool, torch.cat(rows), clean)


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


def recovery_net(num_classes: int, seed: int = 0) -> nn.Sequential:
    """K -> h1 -> h2 -> K with batch norm, LeakyReLU(0.2) and a softmax: rows of the simplex.

    (128, 64) for 10 classes, (1024, 512) for 100, (2048, 1024) for 200; what lies between takes
    the nearest in ratio.

    >>> recovery_net(10)(torch.rand(4, 10)).shape           # each row a probability
    torch.Size([4, 10])
    """
    width = 128 if num_classes <= 31 else 1024 if num_classes <= 141 else 2048
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(seed))
        return nn.Sequential(
            *_block(num_classes, width),
            *_block(width, width // 2),
            nn.Linear(width // 2, num_classes),
            nn.Softmax(dim=1),
        )


def train_recovery(clean: Tensor, perturbed: Tensor, epochs: int = 200, seed: int = 0) -> nn.Module:
    """The net g fitted to a table of clean and perturbed answers, both (T, K), T >= 2.

    SGD, learning rate 0.01 halved once half-way, momentum 0.9, weight decay 1e-4, batches of
    1024, L1 loss.

    >>> net = train_recovery(clean, perturbed, epochs=60)
    """
    net = recovery_net(clean.shape[1], seed).to(clean)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    halve = torch.optim.lr_scheduler.StepLR(optimizer, max(1, epochs // 2), gamma=0.5)
    shuffle = torch.Generator().manual_seed(int(seed))

    def step(given: Tensor, wanted: Tensor) -> None:
        loss = (net(given) - wanted).abs().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    recorder = recorder_for(clean.device)
    graphed = GraphedStep(step, recorder) if recorder is not None else None
    take_step = graphed or step
    net.train()
    for _ in progress(range(epochs), desc="recovery net"):
        for rows in batches(len(clean), BATCH, shuffle, clean.device):
            take_step(perturbed[rows], clean[rows])
        rates = halve.get_last_lr()
        halve.step()
        if graphed is not None and halve.get_last_lr() != rates:
            optimizer.zero_grad()
            graphed.forget()
    return net.eval()


@torch.no_grad()
def apply(net: nn.Module, answers: Tensor) -> Tensor:
    """g(y') for answers (N, K), in batches, in the dtype of g."""
    answers = answers.to(dtype_of(net, answers.dtype))
    with evaluating(net):
        return torch.cat([net(part) for part in answers.split(8 * BATCH)])


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2)
