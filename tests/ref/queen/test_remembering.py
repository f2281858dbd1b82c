"""What one can ask a QUEEN about its clients."""

import pytest

from queen_ref.defenses import Defense
from queen_ref.queen.remembering import Remembering


def test_a_queen_answers_for_its_clients(queen, images):
    assert isinstance(queen, Remembering) and isinstance(queen, Defense)
    queen(images[:20], client="a")
    queen(images[:30], client="b")
    assert list(queen.clients) == ["a", "b"] and queen.report("b")["queries"] == 30
    assert queen.ledger("a") is queen.clients["a"].ledger
    assert int(queen.new_ledger().recorded.sum()) == 0 < int(queen.ledger("b").recorded.sum())
    queen.reset("b")
    assert list(queen.clients) == ["a"]
    queen.reset()
    assert queen.clients == {} and queen.forgotten == 0 and queen.max_clients is None


def test_an_accused_client_who_was_forgotten_is_a_stranger(gated, images):
    bounded = gated.with_settings(max_clients=1)
    bounded((images * 0).bernoulli(0.5), client="thief")
    assert bounded.report("thief")["fired"] > 1
    bounded(images[:1], client="other")
    assert "fired" not in bounded.report("thief") and bounded.forgotten == 1


def test_a_name_is_asked_for(queen):
    with pytest.raises(ValueError, match="client: expected a name"):
        queen.ledger(3)
