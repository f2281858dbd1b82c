"""Data-free: a thief who has no images at all and makes them.

DisGUIDE's idea (Rosenthal et al., 2023): two students copy the victim, and a generator is trained
to make images on which they disagree, for where two copies of one model disagree at least one of
them is wrong. With p_1, p_2 the students' softmax on G(z), p their mean over both and m the mean
of p over the batch, G minimises

    - mean std(p_1, p_2)  -  lambda H(m) ,

H the entropy, so that it makes images of all classes. Only the students' training needs answers,
none is asked to train G. DFME (Truong et al., 2021), which came before, estimates the victim's
gradient with further queries.

It takes many queries all the same: the literature's budgets are in the millions where a pool of
images would need some ten thousand. Here the thief may ask `TIMES` = 20 times the nominal budget,
and all of it counts. The students are thrown away: the substitute is trained on all images that
were made, with the recipe of every other thief.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from queen_ref.attacks.knowledge import Sizes
from queen_ref.models import Shape, build, shape_of
from queen_ref.modes import evaluating

TIMES = 20
NOISE = 64  # dimensions of z
DIVERSITY = 0.2  # lambda
RATE = 1e-3  # of Adam, for all three networks
GENERATOR_STEPS, STUDENT_STEPS = 2, 4  # for every batch of queries


class DataFreePolicy:
    """The policy: images of a generator. Of the pool it takes the shape alone.

    >>> images, answers = DataFreePolicy()(api, pool, 10, None, seed=0, sizes=sizes)
    >>> len(images)
    200
    """

    name = "data-free"
    on_request = True
    times = TIMES

    def takes(self, budget: int, sizes: Sizes) -> int:
        """Images of the pool."""
        return 1

    def __call__(
        self,
        ask: Callable[[Tensor], Tensor],
        pool: Tensor,
        budget: int,
        train: object,
        seed: int,
        sizes: Sizes,
    ) -> tuple[Tensor, Tensor]:
        game, total = Game(pool, sizes.recipe.model, seed), self.times * budget
        images, answers = pool.new_empty(total, *shape_of(pool)), pool.new_empty(total, 0)
        for first in range(0, total, sizes.query_batch):
            last = min(first + sizes.query_batch, total)
            images[first:last] = game.made(last - first)
            got = ask(images[first:last])
            if not first:  # K is known with the first answer
                answers = got.new_empty(total, got.shape[1])
            answers[first:last] = got
            # Everything asked so far is learned from again: an answer is dear, a step is not.
            game.play(images[:last], answers[:last], sizes.query_batch)
        return images, answers


class Game:
    """The generator against the two students. It never asks.

    Arguments: `like`, images (N, C, H, W) of the shape, dtype and device; `model`, the students'
    network; `seed` of all that is drawn.

    >>> game = Game(pool, "small_cnn", seed=0)
    >>> game.made(3).shape
    torch.Size([3, 1, 28, 28])
    """

    def __init__(self, like: Tensor, model: str, seed: int):
        self.like, self.model, self.seed = like, model, seed
        self.random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            self.maker = generator(shape_of(like)).to(like.device, like.dtype)
        self.fast = torch.optim.Adam(self.maker.parameters(), lr=RATE)
        self.students: list[nn.Module] = []

    def noise(self, count: int) -> Tensor:
        """z (count, NOISE)."""
        return torch.randn(count, NOISE, generator=self.random).to(self.like)

    @torch.no_grad()
    def made(self, count: int) -> Tensor:
        """Images of the generator as it is, (count, C, H, W)."""
        with evaluating(self.maker):
            return self.maker(self.noise(count))

    def play(self, images: Tensor, answers: Tensor, batch: int) -> None:
        """Some steps of the students on answers (N, K), and some of the generator on them."""
        if not self.students:
            shape, classes = shape_of(self.like), answers.shape[1]
            two = (build(self.model, shape, classes, self.seed + i) for i in range(2))
            self.students = [student.to(self.like.device, self.like.dtype) for student in two]
            weights = [w for student in self.students for w in student.parameters()]
            self.slow = torch.optim.Adam(weights, lr=RATE)
        for _ in range(STUDENT_STEPS):
            rows = torch.randint(len(images), (batch,), generator=self.random).to(images.device)
            self.slow.zero_grad()
            for student in self.students:
                F.cross_entropy(student.train()(images[rows]), answers[rows]).backward()
            self.slow.step()
        for _ in range(GENERATOR_STEPS):
            made = self.maker.train()(self.noise(batch))
            with evaluating(*self.students):
                loss = agreed(*(student(made).softmax(1) for student in self.students))
            self.fast.zero_grad()
            loss.backward()
            self.fast.step()


def agreed(one: Tensor, other: Tensor) -> Tensor:
    """What the generator minimises, of the two students' probabilities (B, K).

    >>> agreed(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))     # - .5 - .2 log 2
    tensor(-0.6386)
    """
    spread = (one - other).abs().mean() / 2  # the standard deviation of two numbers
    classes = torch.special.entr((one + other).mean(0) / 2).sum()
    return -spread - DIVERSITY * classes


def generator(shape: Shape) -> nn.Module:
    """z (B, NOISE) -> images (B, C, H, W) in [0, 1], from a quarter of their size up.

    >>> generator((1, 28, 28))(torch.randn(2, NOISE)).shape
    torch.Size([2, 1, 28, 28])
    """
    channels, height, width = shape
    low = (math.ceil(height / 4), math.ceil(width / 4))
    return nn.Sequential(
        nn.Linear(NOISE, 32 * low[0] * low[1]),
        nn.Unflatten(1, (32, *low)),
        nn.BatchNorm2d(32),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.Upsample(size=(height, width)),
        nn.Conv2d(32, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, channels, 3, padding=1),
        nn.Sigmoid(),
    )
