"""One batch of one client: judged, answered, remembered, in this order, and all or nothing.

Threads may ask at once, and models run outside of the lock. So the batch is judged on a copy of the
client's ledger, and kept only if nobody else has changed the client meanwhile:

    repeat
        take a copy of the ledger, and the client's standing before the gate
        judge; who is reversed?  answer, unless the same ones were answered already
    until the client is still what it was judged by; then count and remember, under the lock

The result is that of some order of the batches, one after the other. Whoever gets no answer has not
asked: nothing is written before there is one.
"""

import torch
from torch import Tensor

from queen_ref.checks import check_floats
from queen_ref.queen.accusing import Accusing
from queen_ref.queen.answering import Answering
from queen_ref.queen.clients import Clients
from queen_ref.queen.query import Query


def respond(
    clients: Clients,
    accusing: Accusing,
    answering: Answering,
    images: Tensor,
    query: Query,
    client: str,
) -> Tensor:
    """The answers (B, K) to images (B, C, H, W) that were looked at, in the order of arrival.

    A history changes only when a point is recorded, and a region soon holds all it can: to judge
    again is rare, to answer again rarer.
    Errors: `ValueError` for map points that are not finite, and a name that is not a `str`.

    >>> answering = Answering(victim, queen.config, queen.seed, queen.parts)
    >>> respond(Clients(queen.new_ledger()), Accusing(), answering, images, query, "a").shape
    torch.Size([200, 10])
    """
    check_floats("points", query.points)  # finite pixels can still overflow in a victim
    answers: Tensor | None = None
    turned: Tensor | None = None
    while True:
        ledger, stood = clients.draft(client)
        before = ledger.snapshot()
        verdict = ledger.judge(query.points, query.labels)
        turn, stands = accusing.accuse(verdict, query, stood)
        if answers is None or turned is None or not torch.equal(turned, turn):
            turned = turn
            answers = answering.carry_out(turned, images, query, client)
        counts = verdict.counts(turned)
        if clients.keep(client, before, ledger.snapshot(), counts, stood, stands):
            return answers
