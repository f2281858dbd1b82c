"""A recorded step is the step: same weights, fewer launches."""

import sys
from contextlib import nullcontext

import pytest
import torch

from queen_ref.attacks import recovery_net
from queen_ref.attacks.recovery_net import train_recovery
from queen_ref.models import build
from queen_ref.training import Recipe, fit
from queen_ref.training.cuda_graph import WARM_UP, GraphedStep

LOOP = sys.modules["queen_ref.training.fit"]  # `fit` itself hides its file


class Recorder:
    """Stands in for CUDA: a recording is the work itself, on the recorded inputs."""

    def __init__(self):
        self.recordings = self.replays = 0

    def side_stream(self):
        return nullcontext()

    def record(self, work):
        self.recordings += 1

        def replay():
            self.replays += 1
            work()

        return replay


def sums(recorder, batches):
    seen = []
    step = GraphedStep(lambda x: seen.append(float(x.sum())), recorder)
    for batch in batches:
        step(batch)
    return step, seen


def test_every_batch_is_seen_once_in_its_order():
    batches = [torch.full((4,), float(number)) for number in range(8)]
    recorder = Recorder()
    _, seen = sums(recorder, batches)
    assert seen == [4.0 * number for number in range(8)]
    assert (recorder.recordings, recorder.replays) == (1, 8 - WARM_UP)


def test_a_batch_of_another_shape_takes_the_step_itself():
    whole, part = torch.ones(4), torch.ones(3)
    recorder = Recorder()
    _, seen = sums(recorder, [whole, whole, whole, part, whole, part, whole])
    assert seen == [4, 4, 4, 3, 4, 3, 4] and recorder.replays == 2


def test_what_was_recorded_does_not_follow_the_callers_tensor():
    recorder, batch = Recorder(), torch.ones(2)
    step, seen = sums(recorder, [batch] * (WARM_UP + 1))
    batch += 1
    step(torch.ones(2))
    assert seen[-1] == 2 and float(batch.sum()) == 4


def test_after_forgetting_it_records_anew():
    recorder = Recorder()
    step, _ = sums(recorder, [torch.ones(2)] * (WARM_UP + 1))
    step.forget()
    step(torch.ones(2))
    assert recorder.recordings == 2


@pytest.mark.parametrize("schedule, recordings", [("cosine", 3), ("step", 1), ("constant", 1)])
def test_training_gives_the_same_weights_with_and_without(monkeypatch, schedule, recordings):
    draw = torch.Generator().manual_seed(0)
    images, labels = torch.rand(70, 1, 8, 8, generator=draw), torch.arange(70) % 3
    models, losses = [], []
    recorder, recipe = Recorder(), Recipe(epochs=3, batch_size=16, schedule=schedule)
    for chosen in (None, recorder):
        monkeypatch.setattr(LOOP, "recorder_for", lambda device, chosen=chosen: chosen)
        model = build("small_cnn", (1, 8, 8), 3, seed=0)
        losses.append(fit(model, images, labels, recipe))
        models.append(model.state_dict())
    assert losses[0] == losses[1]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    # The learning rate is a constant in a recording.
    assert recorder.recordings == recordings


def test_what_cannot_be_recorded_is_not(monkeypatch):
    monkeypatch.setattr(LOOP, "recorder_for", lambda device: pytest.fail("recorded"))
    model = build("small_cnn", (1, 8, 8), 3, seed=0)
    images, labels = torch.rand(8, 1, 8, 8), torch.arange(8) % 3
    losses = fit(
        model, images, labels, Recipe(epochs=1), loss=lambda logits, _: logits.square().mean()
    )
    assert len(losses) == 1  # trained, step by step


def test_a_recovery_net_is_the_same_with_and_without(monkeypatch):
    draw = torch.Generator().manual_seed(0)
    clean, perturbed = torch.rand(2, 5000, 3, generator=draw).softmax(2)
    nets, recorder = [], Recorder()
    for chosen in (None, recorder):
        monkeypatch.setattr(recovery_net, "recorder_for", lambda device, chosen=chosen: chosen)
        nets.append(train_recovery(clean, perturbed, epochs=4).state_dict())
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
    assert recorder.recordings == 2  # the rate is halved once half-way
