"""Detectors: accounts, the alarm, and what is answered after it."""

import copy
import pickle

import pytest
import torch
from blocks import Blocks, blocks
from hurry import at_once

from queen_ref.defenses import Detector
from queen_ref.defenses.detector import honest_streams


class Dark(Detector):
    """Fires at dark images, and remembers how many it has seen."""

    name = "dark"

    def describe(self, images):
        return images.mean((1, 2, 3))[:, None]

    def watch(self, memory, points, labels):
        return points[:, 0] < 0.1, (memory or 0) + len(points)


class Now(Dark):
    """Judges each query by itself."""

    for_good = False


IMAGES, LABELS = blocks(40)
TRUE = Blocks()(IMAGES).softmax(1)
MIXED = IMAGES.clone()
MIXED[10] = 0


def test_the_alarm_is_for_good_and_for_one_account():
    detector = Dark(Blocks())
    answers = detector(MIXED, client="thief")
    assert torch.equal(answers[:10], TRUE[:10])
    assert not torch.equal(answers[11:].argmax(1), TRUE[11:].argmax(1))
    assert detector.report("thief") == {"queries": 40, "flagged": 30, "fired": 11}
    assert torch.equal(detector(IMAGES, client="user"), TRUE)
    assert detector.report("user") == {"queries": 40, "flagged": 0}
    detector(IMAGES, client="thief")
    assert detector.report("thief") == {"queries": 80, "flagged": 70, "fired": 11}
    assert detector.accounts["thief"].memory == 40  # nobody looks any more
    assert detector.report("stranger") == {"queries": 0, "flagged": 0}


def test_a_detector_that_judges_each_query_serves_the_honest_ones():
    detector = Now(Blocks())
    answers = detector(MIXED, client="a")
    honest = torch.arange(40) != 10
    assert torch.equal(answers[honest], TRUE[honest])
    assert detector.report("a") == {"queries": 40, "flagged": 1, "fired": 11}


@pytest.mark.parametrize("kind", [Dark, Now])
def test_cuts_into_batches_do_not_matter(kind):
    whole, parts = kind(Blocks(), seed=4), kind(Blocks(), seed=4)
    together = whole(MIXED, client="a")
    assert torch.equal(together, torch.cat([parts(x, client="a") for x in MIXED.split(7)]))
    assert whole.report("a") == parts.report("a")


def test_answers_after_the_alarm_say_nothing():
    dark = torch.zeros(900, 1, 8, 8)
    answers = Dark(Blocks())(dark)
    # 900 labels of four classes: five standard deviations are 65.
    assert all(abs(count - 225) < 65 for count in answers.argmax(1).bincount(minlength=4).tolist())
    assert torch.equal(Dark(Blocks(), after="uniform")(dark), torch.full((900, 4), 0.25))
    assert not torch.equal(Dark(Blocks())(dark, client="b"), answers)
    assert not torch.equal(Dark(Blocks(), seed=1)(dark), answers)
    with pytest.raises(ValueError, match="after: expected one of 'random', 'uniform'"):
        Dark(Blocks(), after="silence")


def test_a_fresh_one_and_a_copy_have_memories_of_their_own():
    detector = Dark(Blocks())
    detector(MIXED)
    for other in (copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))):
        other(IMAGES)
        assert other.report()["queries"] == 80
    assert detector.fresh().report() == {"queries": 0, "flagged": 0}
    assert detector.report()["queries"] == 40


def test_threads_lose_no_query():
    detector = Now(Blocks())
    found = at_once(lambda batch: detector(batch, client="a"), MIXED.repeat(5, 1, 1, 1).split(8))
    assert all(torch.is_tensor(answer) for answer in found)
    counts = detector.report("a")
    assert counts["queries"] == 200 and counts["flagged"] == 5
    assert detector.accounts["a"].memory == 200


def test_honest_accounts_are_counted_and_none_asks_an_image_twice():
    streams = [*honest_streams(40, count=30, length=12, seed=1)]
    assert all(len(set(rows.tolist())) == 12 for rows in streams)
    assert len([*honest_streams(5, 1, length=99)][0]) == 5
    expected = sum(10 in rows.tolist() for rows in streams)
    detector = Dark(Blocks())
    assert detector.flagged_streams(MIXED, count=30, length=12, seed=1) == expected > 0
    assert detector.flagged_streams(IMAGES, count=30, length=12) == 0
    assert detector.accounts == {}
    with pytest.raises(ValueError, match="images: expected"):
        detector.flagged_streams(MIXED[0])
    with pytest.raises(ValueError, match="length"):
        detector.flagged_streams(MIXED, length=0)
