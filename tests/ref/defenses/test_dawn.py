"""DAWN: who is marked, how an answer is moved, and scipy's binomial test."""

import pytest
import torch
from blocks import Blocks, blocks

from queen_ref.defenses import DAWN
from queen_ref.defenses.dawn import PROOF, at_least, coarse

IMAGES = torch.rand(4000, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("marks", [1, 7, 250])
def test_the_p_value_is_scipys(marks, classes):
    from scipy.stats import binomtest

    for repeated in {0, 1, marks // 2, marks}:
        expected = binomtest(repeated, marks, 1 / classes, alternative="greater").pvalue
        assert at_least(repeated, marks, classes) == pytest.approx(expected, rel=1e-9)


def test_a_share_of_all_images_is_marked_and_every_shift_occurs():
    shifts = DAWN(Blocks(), share=0.25).marks(IMAGES, classes=4)
    # 4000 draws: five standard deviations are 0.034.
    assert abs(float((shifts > 0).float().mean()) - 0.25) < 0.035
    assert set(shifts.unique().tolist()) == {0, 1, 2, 3}
    assert not bool(DAWN(Blocks(), share=0.0).marks(IMAGES, 4).any())
    assert bool(DAWN(Blocks(), share=1.0).marks(IMAGES, 4).all())


def test_a_marked_answer_is_the_true_one_moved_to_other_classes_and_the_rest_are_true():
    dawn, images = DAWN(Blocks(), share=0.5), blocks(60)[0]
    shifts, probs, answers = dawn.marks(images, 4), Blocks()(images).softmax(1), dawn(images)
    for shift, y, answer in zip(shifts.tolist(), probs, answers, strict=True):
        assert torch.equal(answer, y.roll(shift))
    wrong = answers.argmax(1) != probs.argmax(1)
    assert torch.equal(wrong, shifts > 0) and 0 < int(wrong.sum()) < 60


def test_the_key_decides_and_the_mark_is_always_the_same():
    one, two = DAWN(Blocks(), share=0.5, seed=0), DAWN(Blocks(), share=0.5, seed=1)
    assert torch.equal(one.marks(IMAGES[:90], 10), one.marks(IMAGES[:90], 10))
    assert not torch.equal(one.marks(IMAGES[:90], 10), two.marks(IMAGES[:90], 10))
    assert torch.equal(one(IMAGES[:9]), one(IMAGES[:9], client="b"))


def test_a_little_noise_washes_no_mark_off():
    images, _ = blocks(100)
    noisy = (images + 1e-4 * torch.randn(images.shape)).clamp(0, 1)
    same = (coarse(images) == coarse(noisy)).mean()
    assert same > 0.99
    assert coarse(torch.rand(3, 3, 33, 31)).shape == (3, 49)


class Repeats(torch.nn.Module):
    """A copy that answers as the defence did."""

    def __init__(self, dawn):
        super().__init__()
        self.dawn = dawn

    def forward(self, images):
        return self.dawn.serve(images, "suspect").log()


def test_a_copy_is_proved_and_the_victim_and_a_stranger_are_not():
    dawn = DAWN(Blocks(), share=0.05)
    copied = dawn.verdict(Repeats(dawn), IMAGES)
    assert copied["repeated"] == copied["marks"] > 100
    assert copied["proved"] and copied["p_value"] < PROOF
    stranger = dawn.verdict(Blocks(), IMAGES)
    assert stranger == {"marks": copied["marks"], "repeated": 0, "p_value": 1.0, "proved": False}


def test_few_marks_prove_nothing():
    dawn = DAWN(Blocks(), share=0.005)
    found = dawn.verdict(Repeats(dawn), IMAGES[:1000])
    assert found["repeated"] == found["marks"] < 20 and not found["proved"]
    none = DAWN(Blocks(), share=0.0).verdict(Blocks(), IMAGES[:10])
    assert none == {"marks": 0, "repeated": 0, "p_value": 1.0, "proved": False}
    with pytest.raises(ValueError, match="share"):
        DAWN(Blocks(), share=2.0)
