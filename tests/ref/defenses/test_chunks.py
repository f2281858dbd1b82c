"""Pieces of a batch: every row once, in order."""

import torch

from queen_ref.defenses.chunks import CHUNK, chunks, joined


def test_the_pieces_are_the_batch_in_order():
    rows = torch.arange(3 * CHUNK + 7)
    pieces = [rows[part] for part in chunks(len(rows))]
    assert torch.equal(joined(pieces), rows)
    assert [len(piece) for piece in pieces] == [CHUNK, CHUNK, CHUNK, 7]


def test_a_short_batch_is_one_piece_and_is_not_copied():
    rows = torch.arange(CHUNK)
    assert [*chunks(CHUNK)] == [slice(0, CHUNK)]
    assert joined(rows[part] for part in chunks(CHUNK)).data_ptr() == rows.data_ptr()
