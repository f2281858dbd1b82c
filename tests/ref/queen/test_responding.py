"""A batch is judged by what its client is when it is kept, whoever came meanwhile."""

from types import SimpleNamespace

import pytest
import torch

from queen_ref.queen.accusing import Accusing
from queen_ref.queen.clients import Clients
from queen_ref.queen.responding import respond


class Answers:
    """Says 1 for what is reversed; and while it says so for the first time, somebody else asks."""

    def __init__(self, meanwhile):
        self.given, self.meanwhile = [], meanwhile

    def carry_out(self, turn, images, query, client):
        self.given.append(turn)
        if len(self.given) == 1:
            self.meanwhile()
        return turn.float()[:, None]


def asked(queen, images, meanwhile, accusing=None):
    clients = Clients(queen.new_ledger())
    other = SimpleNamespace(carry_out=lambda turn, *_: turn)
    accusing = accusing or Accusing()

    def ask(rows, answering):
        part = images[rows]
        return respond(clients, accusing, answering, part, queen.look(part), "a")

    answers = Answers(lambda: meanwhile(lambda rows: ask(rows, other), clients))
    return clients, answers, ask(slice(0, 100), answers)


def alone(queen, images, *batches):
    """The verdicts of the same batches, one after the other."""
    ledger = queen.new_ledger()
    judged = []
    for rows in batches:
        query = queen.look(images[rows])
        judged.append(ledger.judge(query.points, query.labels))
    return judged


def test_whoever_comes_meanwhile_came_first(queen, images):
    clients, answers, got = asked(queen, images, lambda ask, _: ask(slice(100, 200)))
    first, second = alone(queen, images, slice(100, 200), slice(0, 100))
    assert len(answers.given) == 2 and not torch.equal(*answers.given)
    assert torch.equal(got[:, 0].bool(), second.reverse)
    counted = zip(first.counts(), second.counts(), strict=True)
    assert list(clients.report("a").values()) == [sum(pair) for pair in counted]


def test_nobody_is_answered_again_where_the_same_ones_are_reversed(queen, images):
    _, answers, _ = asked(queen, images, lambda *_: None)
    assert len(answers.given) == 1
    careless = queen.with_settings(threshold=1e9)
    clients, answers, got = asked(careless, images, lambda ask, _: ask(slice(100, 200)))
    assert len(answers.given) == 1 and not bool(got.any())
    first, second = alone(careless, images, slice(100, 200), slice(0, 100))
    assert clients.report("a")["recorded"] == int(first.recorded.sum() + second.recorded.sum())


def test_an_alarm_raised_meanwhile_is_heard(gated, images):
    noise = torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    stream = torch.cat([images[1:200:2], noise])
    clients, answers, got = asked(
        gated, stream, lambda ask, _: ask(slice(100, 200)), gated._accusing
    )
    assert clients.report("a")["fired"] <= 100 and bool(got.all())  # his first 100 were the noise
    assert not bool(answers.given[0].any())


def test_who_gets_no_answer_has_not_asked(queen, images):
    clients = Clients(queen.new_ledger())
    broken = SimpleNamespace(carry_out=lambda *_: 1 / 0)
    query = queen.look(images)
    with pytest.raises(ZeroDivisionError):
        respond(clients, Accusing(), broken, images, query, "a")
    query.points[3] = torch.nan
    with pytest.raises(ValueError, match="points: expected finite numbers"):
        respond(clients, Accusing(), broken, images, query, "a")
    assert not clients.known
