"""Sending queries, and what can be known of the door before the first one is paid for."""

from collections.abc import Callable

import torch
from torch import Tensor

from queen_ref.blackbox import BlackBox, BudgetExceeded
from queen_ref.checks import check_images, check_logits, check_number
from queen_ref.defenses.base import Defense, num_classes
from queen_ref.modes import evaluating
from queen_ref.progress import progress


def ask(api: Callable[[Tensor], Tensor], queries: Tensor, query_batch: int = 128) -> Tensor:
    """Send queries (N, C, H, W) in batches, in order; return the answers (N, K).

    Errors: `ValueError` or `BudgetExceeded`, before any query, for what the API cannot answer.

    >>> ask(api, queries).shape
    torch.Size([40, 10])
    """
    check_images(queries)
    check_number("query_batch", query_batch, low=1, integer=True)
    check_left(api, len(queries))
    calls = progress(queries.split(int(query_batch)), desc="queries")
    return torch.cat([api(batch) for batch in calls])


def check_left(api: object, count: int) -> None:
    """Demand that an API with a budget will answer so many images. Errors: `BudgetExceeded`.

    >>> check_left(qr.BlackBox(queen, budget=300), 400)
    Traceback (most recent call last):
    queen_ref.blackbox.BudgetExceeded: 400 queries needed, 300 of 300 left
    """
    left = api.remaining if isinstance(api, BlackBox) else None
    if isinstance(api, BlackBox) and left is not None and count > left:
        raise BudgetExceeded(f"{count} queries needed, {left} of {api.budget} left")


def check_door(api: object, pool: Tensor, count: int) -> int | None:
    """Demand that an API takes the pool's images, and `count` of them; K where it can be known.

    Of a defence it can: its own door looks at the dtype and the device, and its victim, tried
    on one image behind that door, at the shape. No query is sent. Of any other callable nothing
    is known. Errors: `ValueError` for images that it does not take, `BudgetExceeded`.

    >>> check_door(qr.BlackBox(queen, budget=400), pool, 400)
    10
    """
    check_images(pool)
    check_left(api, count)
    model = api.model if isinstance(api, BlackBox) else api
    if not isinstance(model, Defense):
        behind: object = getattr(model, "victim", None)
        return num_classes(model if behind is None else behind)  # a stand-in for a defence may say
    model.check(pool[:1])
    try:
        with torch.no_grad(), evaluating(model.victim):
            logits = model.victim(pool[:1])
    except RuntimeError as error:  # torch's, of a layer that other images were meant for
        why = str(error).strip().splitlines()[0]
        raise ValueError(
            f"pool: expected images that the API takes, got {tuple(pool.shape[1:])} ({why})"
        ) from None
    check_logits(logits, 1)
    return logits.shape[1]
