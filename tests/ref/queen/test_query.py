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
