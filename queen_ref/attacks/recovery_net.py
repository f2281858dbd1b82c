"""D-DAE's net g, which learns to undo a defence from a table of its answers (Chen et al., 2023).

    min_g  mean  sum_k | g(y')_k - y_k |

The literature trains 200 epochs on a million pairs, some 195 000 steps. A small table gives few
steps an epoch, and a net that has not learned is no attack: so here an epoch count is the least,
and training goes on until the loss stops falling.
"""

import torch
from torch import Tensor, nn

from queen_ref.checks import check_number
from queen_ref.models import dtype_of
from queen_ref.modes import evaluating
from queen_ref.progress import progress
from queen_ref.training.cuda_graph import GraphedStep, recorder_for
from queen_ref.training.fit import batches

BATCH = 1024
LOOK = 250  # steps between two looks at the loss, or an epoch if that is more
GAIN = 0.01  # a look that does not lower the loss by this share is stale
PATIENCE = 2  # stale looks one after the other: it has stopped falling


def recovery_net(num_classes: int, seed: int = 0) -> nn.Sequential:
    """K -> h1 -> h2 -> K, batch norm and LeakyReLU(0.2) after each, a softmax: rows of the simplex.

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
            *_block(width // 2, num_classes),
            nn.Softmax(dim=1),
        )


def train_recovery(
    clean: Tensor, perturbed: Tensor, epochs: int = 200, seed: int = 0, steps: int | None = None
) -> nn.Module:
    """The net g fitted to a table of clean and perturbed answers, both (T, K), T >= 2.

    SGD, learning rate 0.01 halved once, momentum 0.9, weight decay 1e-4, batches of 1024, L1 loss.
    Arguments: `epochs`, exactly so many, the rate halved half-way; with `steps` it goes on beyond
    them until the loss has stopped falling, halves the rate, and stops where it has stopped
    falling again, or after `steps` steps, the rate being halved after half of them at the latest.

    >>> net = train_recovery(clean, perturbed, epochs=60)
    """
    check_number("epochs", epochs, low=1, integer=True)
    if steps is not None:
        check_number("steps", steps, low=1, integer=True)
    net = recovery_net(clean.shape[1], seed).to(clean)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    shuffle = torch.Generator().manual_seed(int(seed))
    total = torch.zeros((), device=clean.device, dtype=clean.dtype)

    def step(given: Tensor, wanted: Tensor) -> None:
        loss = (net(given) - wanted).abs().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    recorder = recorder_for(clean.device)
    graphed = GraphedStep(step, recorder) if recorder is not None else None
    take_step = graphed or step
    net.train()
    plateau, halved, done = Plateau(), False, 0
    an_epoch = len(batches(len(clean), BATCH, torch.Generator()))
    most = epochs if steps is None else -(-steps // an_epoch)
    for epoch in progress(range(1, most + 1), desc="recovery net"):
        for rows in batches(len(clean), BATCH, shuffle, clean.device)[: steps and steps - done]:
            take_step(perturbed[rows], clean[rows])
            done += 1
        if steps is None:
            turn = epoch == max(1, epochs // 2)
        else:
            stopped = plateau.stopped(total, done)
            if halved and stopped and epoch >= epochs:
                break
            turn = stopped or 2 * done >= steps
        if turn and not halved:
            halved, plateau = True, Plateau(done)
            total.zero_()
            optimizer.param_groups[0]["lr"] *= 0.5
            if graphed is not None:
                optimizer.zero_grad()
                graphed.forget()
    return net.eval()


class Plateau:
    """Whether a loss has stopped falling, by its mean over `LOOK` steps or more.

    Arguments: `begun`, steps that were done before.

    >>> plateau = Plateau()
    >>> plateau.stopped(torch.tensor(100.0), done=250)      # the sum of the losses; it becomes 0
    False
    """

    def __init__(self, begun: int = 0):
        self.looked, self.stale, self.best = begun, 0, float("inf")

    def stopped(self, total: Tensor, done: int) -> bool:
        """After `done` steps, with the sum of the losses since the last look."""
        if done - self.looked >= LOOK:
            mean = float(total) / (done - self.looked)
            self.stale = self.stale + 1 if mean > (1 - GAIN) * self.best else 0
            self.best, self.looked = min(mean, self.best), done
            total.zero_()
        return self.stale >= PATIENCE


@torch.no_grad()
def apply(net: nn.Module, answers: Tensor) -> Tensor:
    """g(y') for answers (N, K), in batches, in the dtype of g.

    >>> labels = apply(train_recovery(clean, perturbed, epochs=1), answers)
    """
    answers = answers.to(dtype_of(net, answers.dtype))
    with evaluating(net):
        return torch.cat([net(part) for part in answers.split(8 * BATCH)])


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2)
