"""What honest queries look like."""

import dataclasses

import pytest
import torch

import queen_ref as qr
from queen_ref.queen.held_out import HeldOut, sureness


def test_sureness_is_the_log_odds_where_a_softmax_has_rounded_to_one():
    logits = torch.tensor([[1.0, 2.0, -1.0], [60.0, 0.0, 0.0], [70.0, 0.0, 0.0]])
    top = logits.double().softmax(1).amax(1)
    torch.testing.assert_close(sureness(logits)[:1], (top / (1 - top)).log()[:1].float())
    assert bool((logits.softmax(1).amax(1)[1:] == 1).all())
    assert sureness(logits)[1] < sureness(logits)[2] < torch.inf


def test_the_shares_are_those_of_the_images(queen, images):
    held = HeldOut.of(queen.look(images), queen.clusters)
    assert held.share("confidence", beta=1.0) == 0.5
    query = queen.look(images)
    for beta in (0.5, 1.0, 2.0):
        ledger = queen.with_settings(beta=beta).new_ledger()
        inside = ledger.observe(query.points, query.labels).inside
        assert abs(held.share("inside", beta) - float(inside.float().mean())) <= 1 / len(images)
    with pytest.raises(ValueError, match="gate: expected one of 'confidence', 'inside'"):
        held.share("age", beta=1.0)


def test_the_gate_is_set_two_standard_errors_lower(queen, images):
    held = HeldOut.of(queen.look(images), queen.clusters)
    drift = held.drift(qr.QueenConfig(gate="confidence", gate_ratio=0.4, gate_alarm=0.01))
    assert len(images) == 400
    assert drift.gate.usual == pytest.approx(0.5 - 2 * 0.5 / 20)
    assert drift.gate.other == pytest.approx(0.4 * 0.45) and drift.gate.alarm == 0.01
    few = HeldOut(held.sure[:4], held.depth[:4])
    with pytest.raises(ValueError, match="gate: expected more held-out images"):
        few.drift(qr.QueenConfig(gate="confidence"))


def test_as_usual_is_what_the_held_out_share_counts(queen, images):
    query = queen.look(images)
    held = HeldOut.of(query, queen.clusters)
    inside = queen.new_ledger().observe(query.points, query.labels).inside
    for kind in ("confidence", "inside"):
        bits = held.drift(qr.QueenConfig(gate=kind)).as_usual(query, inside)
        assert abs(float(bits.float().mean()) - held.share(kind, beta=1.0)) <= 1 / len(images)


def test_it_is_saved_as_one_tensor(queen, images):
    held = HeldOut.of(queen.look(images), queen.clusters)
    again = HeldOut.from_tensor(held.as_tensor())
    assert all(torch.equal(a, b) for a, b in zip(again, held, strict=True))
    for wrong in (torch.zeros(3), torch.zeros(0, 2), torch.full((2, 2), torch.nan), None):
        with pytest.raises(ValueError, match="held_out"):
            HeldOut.from_tensor(wrong)


def test_held_out_images_that_do_not_fit_are_called_so(setting, images):
    config = qr.QueenConfig(shadows=1, shadows_per_query=1, map_epochs=1)
    wrong = {
        r"held_out: images: expected shape": torch.zeros(2, 1, 9, 9),
        r"held_out: images: expected dtype": images.double(),
        r"held_out: images: expected at least one": images[:0],
    }
    for message, held_out in wrong.items():
        with pytest.raises(ValueError, match=message):
            qr.Queen.fit(setting[0], images, setting[2], config, held_out=held_out)


def test_a_victim_that_overflows_says_nothing_about_honest_clients(queen, images):
    query = queen.look(images)
    for name in ("points", "logits"):
        broken = dataclasses.replace(query, **{name: getattr(query, name) * torch.inf})
        with pytest.raises(ValueError, match="held_out: .* expected finite numbers"):
            HeldOut.of(broken, queen.clusters)
