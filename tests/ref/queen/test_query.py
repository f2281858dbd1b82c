"""A query is what the victim and the map say, however the batch is cut."""

import torch

from queen_ref.queen.query import Query


def test_a_batch_in_pieces_is_seen_alike(double, monkeypatch):
    images, queen = double
    whole = queen.look(images[:50])
    monkeypatch.setattr("queen_ref.defenses.chunks.CHUNK", 20)
    pieces = queen.look(images[:50])
    for name in ("features", "logits", "points"):
        torch.testing.assert_close(getattr(pieces, name), getattr(whole, name))
    assert torch.equal(pieces.labels, whole.logits.argmax(1))
    part = whole.rows(slice(10, 30))
    assert torch.equal(part.points, whole.points[10:30]) and len(part.labels) == 20


def test_a_victim_in_half_precision_is_seen_in_the_maps(setting, queen, images):
    class Half:
        def features(self, x):
            return queen.victim.features(x).bfloat16()

        def head(self, features):
            return queen.victim.head(features.float()).bfloat16()

    with torch.no_grad():
        seen = Query.of(images[:5], Half(), queen.feature_map, torch.float32)
    assert {seen.features.dtype, seen.logits.dtype, seen.points.dtype} == {torch.float32}


def test_assumed_probabilities_take_the_place_of_the_victims(queen, images):
    seen, probs = queen.look(images[:3]), torch.eye(4)[:3]
    assumed = seen.assuming(probs)
    assert assumed.labels.tolist() == [0, 1, 2] and bool(assumed.logits.isfinite().all())
    torch.testing.assert_close(assumed.logits.softmax(1), probs)
    assert assumed.points is seen.points and assumed.features is seen.features
