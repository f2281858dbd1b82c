"""The API a thief sees: images in, probabilities out, every query counted."""

from collections.abc import Callable

from torch import Tensor

from queen_ref.checks import check_images, check_number


class BudgetExceeded(RuntimeError):
    """The batch would go past the budget. Nothing of it was served or counted."""


class BlackBox:
    """A counted, budgeted query interface in front of any `images -> probabilities`.

    Arguments: `model`, a defended or undefended victim; `budget`, the number of images that
    will ever be answered (`None`: no limit). `queries` counts the images answered so far.
    Keyword arguments of a call, such as `client`, are handed to `model`.
    Errors: `BudgetExceeded` when a batch would not fit; `ValueError` for bad images. Neither
    is counted.

    >>> api = BlackBox(qr.NoDefense(victim), budget=5000)
    >>> probs = api(images)             # (B, C, H, W) -> (B, K); api.queries grew by B
    """

    def __init__(self, model: Callable[..., Tensor], budget: int | None = None):
        if not callable(model):
            raise ValueError(f"model: expected a callable, got {type(model).__name__}")
        if budget is not None:
            check_number("budget", budget, low=0, integer=True)
        self.model, self.budget = model, budget
        self.queries = 0

    @property
    def remaining(self) -> int | None:
        """Images that may still be asked; `None` without a budget."""
        return None if self.budget is None else self.budget - self.queries

    def __call__(self, images: Tensor, **kwargs) -> Tensor:
        """Answer a batch (B, C, H, W) with probabilities (B, K), or nothing at all."""
        check_images(images)
        if self.remaining is not None and len(images) > self.remaining:
            raise BudgetExceeded(
                f"{len(images)} queries asked, {self.remaining} of {self.budget} left"
            )
        answers = self.model(images, **kwargs)
        self.queries += len(images)  # only what was answered counts
        return answers

    def __repr__(self) -> str:
        limit = "no limit" if self.budget is None else f"of {self.budget}"
        return f"BlackBox({self.model!r}, {self.queries} queries, {limit})"
