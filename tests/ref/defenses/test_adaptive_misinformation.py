"""Adaptive misinformation: a second model answers where the victim is unsure."""

import torch
from blocks import CLASSES, Blocks, blocks

import queen_ref as qr
from queen_ref.defenses.adaptive_misinformation import (
    AdaptiveMisinformation,
    train_misinformation,
    wrong_label_loss,
)


def test_misinformation_answers_where_the_victim_is_unsure():
    victim, wrong = Blocks(), Blocks()
    wrong.head.weight.neg_()
    bright, _ = blocks(20)
    images = torch.cat([bright, 0.1 * bright])  # of which the victim is sure, and is not
    defense = AdaptiveMisinformation(victim, wrong, tau=0.7)
    probs, answers = qr.metrics.predict(victim, images), defense(images)
    assert bool((probs[:20].amax(1) > 0.75).all()) and bool((probs[20:].amax(1) < 0.65).all())
    torch.testing.assert_close(answers[:20], probs[:20])
    torch.testing.assert_close(answers[20:], qr.metrics.predict(wrong, images)[20:])


def test_the_loss_of_misinformation_is_its_formula():
    logits = 3 * torch.randn(40, 6, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(40) % 6
    wrong = 1 - logits.softmax(1)[torch.arange(40), labels]
    torch.testing.assert_close(wrong_label_loss(logits, labels), -wrong.log().mean())


def test_misinformation_is_trained_never_to_say_the_label():
    wrong = train_misinformation(*blocks(400), CLASSES, qr.Recipe(epochs=2), seed=0)
    # 0 with 10 seeds, 1 and 2 threads, AVX2 and AVX-512; chance is 0.25.
    assert qr.metrics.accuracy(wrong, *blocks(200, seed=1)) < 0.1
