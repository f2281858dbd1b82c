"""What is said instead of a reversed answer, and who is told."""

import dataclasses

import pytest
import torch
from hurry import at_once

import queen_ref as qr

NOISE = torch.rand(120, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def verdict_of(queen, images):
    query = queen.look(images)
    return queen.new_ledger().observe(query.points, query.labels), query.labels


@pytest.mark.parametrize("answer", ["hidden", "swapped"])
@pytest.mark.parametrize("others", ["perturbed", "untouched"])
def test_a_hidden_answer_is_the_one_it_replaces_in_another_order(queen, images, answer, others):
    hidden = queen.with_settings(answer=answer, others=others)
    spared = hidden.with_settings(threshold=1e9)
    verdict, labels = verdict_of(hidden, images)
    answers, honest = hidden(images), spared(images)
    torch.testing.assert_close(answers.sort(1).values, honest.sort(1).values)
    turned = verdict.reverse
    assert int(turned.sum()) > 50  # 149 to 224 of 400
    assert not bool((answers.argmax(1) == labels)[turned].any())
    torch.testing.assert_close(answers[~turned], honest[~turned])


def test_no_shadow_is_asked_for_a_hidden_answer(queen, images, monkeypatch):
    monkeypatch.setattr(queen.shadows, "forward", lambda *_: 1 / 0)
    for answer in ("hidden", "swapped", "abstain"):
        quiet = queen.with_settings(answer=answer)
        quiet(images)
        assert quiet.report()["reversed"] > 0
    with pytest.raises(ZeroDivisionError):
        queen(images)


def test_abstaining_says_nothing_and_the_rest_is_as_ever(queen, images):
    silent = queen.with_settings(answer="abstain")
    verdict, _ = verdict_of(silent, images)
    answers = silent(images)
    assert bool((answers[verdict.reverse] == 0.25).all())
    torch.testing.assert_close(answers[~verdict.reverse], queen(images)[~verdict.reverse])
    assert (silent.name, queen.with_settings(answer="hidden").name) == (
        "queen-abstain",
        "queen-hidden",
    )


def test_hidden_answers_are_those_of_the_same_queries_one_by_one(double):
    images, queen = double
    hidden = queen.with_settings(answer="hidden")
    together = hidden(images[:150], client="a")
    single = torch.cat([hidden(image[None], client="b") for image in images[:150]])
    torch.testing.assert_close(together, single, rtol=1e-3, atol=1e-5)  # nor does the name matter
    assert hidden.report("a") == hidden.report("b") and hidden.report("a")["reversed"] > 0


def test_a_head_that_is_not_affine_hides_as_well(queen, images):
    hidden = queen.with_settings(answer="hidden")
    answers = hidden(images)
    bent = hidden.fresh()
    vars(bent)["_answering"] = dataclasses.replace(bent._answering, centroid_logits=None)
    torch.testing.assert_close(bent(images), answers)


def test_a_thief_without_the_key_has_other_answers(queen, images):
    hidden = queen.with_settings(answer="hidden")
    copy = hidden.with_settings(key=b"he does not know it")
    assert hidden.fresh().parts.key == hidden.parts.key != copy.parts.key
    assert any("key" in flag for flag in hidden.copy_flags)
    assert not any("key" in flag for flag in queen.copy_flags)
    ours, his = hidden(images), copy(images)
    assert hidden.report() == copy.report()
    torch.testing.assert_close(ours.sort(1).values, his.sort(1).values)
    assert not torch.equal(ours, his)
    with pytest.raises(ValueError, match="key: expected 16 to 64 bytes"):
        hidden.with_settings(key="secret")


def test_the_gate_accuses_noise_and_not_the_images_it_was_held_out_from(gated, images):
    honest, thief = gated(images[1::2], client="honest"), gated(NOISE, client="thief")
    spared = gated.with_settings(gate=None, threshold=1e9)
    torch.testing.assert_close(honest, spared(images[1::2]))
    assert "fired" not in gated.report("honest") and gated.report("honest")["reversed"] == 0
    report, labels = gated.report("thief"), gated.look(NOISE).labels
    assert 1 < report["fired"] < 60 and report["reversed"] == 121 - report["fired"]
    kept = thief.argmax(1) == labels
    assert bool(kept[: report["fired"] - 1].all()) and not bool(kept[report["fired"] - 1 :].any())
    assert gated.flagged_streams(images[1::2], count=20, length=100) == 0
    assert gated.flagged_streams(NOISE, count=20, length=100) == 20
    assert gated.gate is not None and gated.fresh().report("thief")["queries"] == 0


@pytest.mark.parametrize("kind", ["confidence", "inside"])
def test_a_gated_client_is_answered_alike_in_any_batches(double_gated, double, kind):
    gated = double_gated.with_settings(gate=kind)
    stream = torch.cat([double[0][:30], NOISE.double()])
    together = gated(stream, client="a")
    pieces = torch.cat([gated(part, client="b") for part in stream.split(7)])
    single = torch.cat([gated(one[None], client="c") for one in stream])
    for other in (pieces, single):
        torch.testing.assert_close(other, together, rtol=1e-3, atol=1e-5)
    assert gated.report("a") == gated.report("b") == gated.report("c")
    assert gated.report("a")["fired"] > 30
    assert gated.clients["a"].standing == gated.clients["c"].standing


def test_gate_and_ledger_joined_reverse_what_both_accuse(gated, images):
    stream = torch.cat([NOISE, images[:200]])
    joined = gated.with_settings(gate_reverses="ledger")
    answers = joined(stream)
    verdict, labels = verdict_of(joined, stream)
    fired = joined.report()["fired"]
    late = torch.arange(len(stream)) >= fired - 1
    turned = verdict.reverse & late
    assert 0 < int(turned.sum()) == joined.report()["reversed"]
    assert torch.equal(answers.argmax(1) != labels, turned)
    assert joined.report()["recorded"] == int(verdict.recorded.sum())


def test_with_a_shared_ledger_guilt_is_ones_own(gated, images):
    shared = gated.with_settings(ledgers="shared", gate_reverses="ledger")
    shared(NOISE, client="thief")
    shared(images[1::2], client="other")
    assert shared.report("other")["reversed"] == 0
    assert shared.ledger("other") is shared.ledger("thief")
    shared(images[::2], client="thief")
    assert shared.report("thief")["reversed"] > 0  # of what the other has covered


def test_eight_threads_of_one_gated_client_lose_no_query(gated):
    at_once(lambda image: gated(image[None], client="crowd"), list(NOISE))
    report = gated.report("crowd")
    assert report["queries"] == gated.clients["crowd"].standing.seen == 120
    assert report["reversed"] == 121 - report["fired"]


def test_a_gate_needs_images_that_the_victim_has_not_seen(setting, queen, images):
    config = qr.QueenConfig(gate="inside", shadows=1, shadows_per_query=1, map_epochs=1)
    with pytest.raises(ValueError, match="gate: expected held_out"):
        qr.Queen.fit(setting[0], images, setting[2], config)
    with pytest.raises(ValueError, match="gate: expected a QUEEN that was fitted with held_out"):
        queen.with_settings(gate="inside")
    with pytest.raises(ValueError, match=r"images: expected shape \(B, 1, 8, 8\)"):
        qr.Queen.fit(setting[0], images, setting[2], config, held_out=torch.zeros(2, 1, 9, 9))
    fitted = qr.Queen.fit(
        setting[0], images, setting[2], config, held_out=images[:100], key=b"16 secret bytes!"
    )
    again = qr.Queen.from_state(setting[0], fitted.state_dict())
    assert again.parts.key == b"16 secret bytes!" and repr(again.gate) == repr(fitted.gate)
    assert "secret" not in repr(fitted) + repr(fitted.parts)
