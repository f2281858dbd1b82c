"""A reader's file with a defence, a recovery and a policy, as text. Not a test module."""

from queen_ref.arena import grid, load_plugin

PLUGIN = '''"""Mine."""

import torch

from queen_ref import attacks, defenses

POWER = 0.5


class Noise(defenses.Defense):
    """Answers with noise in them, always the same for the same batch."""

    name, keeps_label = "noise", False

    def __init__(self, victim, scale=0.1):
        super().__init__(victim)
        self.scale = scale

    def answer(self, images, probs):
        noise = torch.rand(probs.shape, generator=torch.Generator().manual_seed(0))
        moved = probs + self.scale * noise
        return moved / moved.sum(1, keepdim=True)


class Sharpen:
    """Answers to a power."""

    name = "sharpen"

    def __call__(self, images, answers):
        return sharper(answers)


def sharper(answers):
    moved = answers ** (1 / POWER)
    return moved / moved.sum(1, keepdim=True)


def brightest(ask, pool, budget, train, seed):
    """The images with most ink."""
    images = pool[pool.flatten(1).sum(1).argsort(descending=True)[:budget]]
    return images, ask(images)


defenses.register(Noise)
attacks.register(Sharpen())
attacks.register_policy(brightest)
'''


def own_cells(plugin):
    """Cells of methods that a reader brings along in a file."""
    load_plugin(plugin)
    return grid("smoke", ["naive", "sharpen"], ["brightest"], ["noise"], [0], budget=50)
