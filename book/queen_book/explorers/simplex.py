"""A posterior of three classes under your fingers, and what each defence answers to it.

`simplex_explorer` needs a running kernel and ipywidgets. As in
`queen_book.explorers.sensitivity` the picture is plain SVG in an HTML widget: no further
package, nothing fetched from anywhere.
"""

from __future__ import annotations

import numpy as np
import torch

from queen_book.explorers.kernel import in_a_kernel
from queen_book.three_classes import STRENGTHS, TITLES, on_simplex
from queen_ref.checks import check_probabilities

SIDE, EDGE = 380, 30  # pixels: the triangle's side, and the space around it
HIGH = SIDE * 0.75**0.5
# Class 1 on the left, class 2 on the right, class 3 on top; SVG counts from the top.
CORNERS = np.array([[EDGE, EDGE + HIGH], [EDGE + SIDE, EDGE + HIGH], [EDGE + SIDE / 2, EDGE]])
COLORS = {"y": "#0072B2", "answer": "#D55E00", "entry": "#222222"}


def simplex_explorer(start: str = "rounding"):
    """A menu of defences, two sliders for y and one for the strength. Needs a kernel.

    Every move is a query. ModelGuard-S remembers them, until another defence or another strength
    is chosen, or "forget" is pressed.

    Arguments: `start`, the defence it begins with, a key of `queen_book.three_classes.STRENGTHS`.
    Returns an `ipywidgets.VBox`; make it the last line of a cell.

    >>> box = simplex_explorer()
    """
    import ipywidgets as widgets  # optional: only a kernel needs it

    menu = widgets.Dropdown(
        options=[(title, name) for name, title in TITLES.items()],
        value=start, description="defence",
    )  # fmt: skip
    first = widgets.FloatSlider(0.62, min=0, max=1, step=0.01, description="y of class 1")
    share = widgets.FloatSlider(0.7, min=0, max=1, step=0.01, description="class 2 : rest")
    strength = widgets.SelectionSlider(options=[("-", 0.0)], description="strength")
    forget = widgets.Button(description="forget")
    picture, status = widgets.HTML(), widgets.HTML()
    answer = None

    def redraw(_change=None) -> None:
        rest = 1 - first.value
        y = (first.value, rest * share.value, rest * (1 - share.value))
        picture.value, status.value = svg(y, answer)

    def renew(_change=None) -> None:
        nonlocal answer
        known = STRENGTHS[menu.value]
        answer = on_simplex(menu.value, strength.value if known else None)
        redraw()

    def choose(_change=None) -> None:
        known = STRENGTHS[menu.value]
        strength.unobserve(renew, names="value")  # the new values are not a move of the slider
        options = [(f"{value:g}", value) for value in known.values] if known else [("-", 0.0)]
        strength.options = options
        strength.value = known.default if known else 0.0
        strength.description = "strength" if known is None else known.symbol.split("'")[0]
        strength.disabled = known is None
        strength.observe(renew, names="value")
        renew()

    menu.observe(choose, names="value")
    strength.observe(renew, names="value")
    for slider in (first, share):
        slider.observe(redraw, names="value")
    forget.on_click(renew)
    choose()
    rows = [widgets.HBox([menu, strength]), widgets.HBox([first, share, forget])]
    return widgets.VBox([*rows, status, picture])


def show_simplex_explorer(start: str = "rounding"):
    """The explorer where a kernel can answer it, and one sentence in the built book.

    >>> box = show_simplex_explorer()
    """
    return in_a_kernel(lambda: simplex_explorer(start), "Look at the figure above instead.")


def svg(y, answer) -> tuple[str, str]:
    """The triangle with y, its answer and what the defence remembers, as SVG; and one line of text.

    Arguments: `y`, three probabilities; `answer`, a function of
    `queen_book.three_classes.on_simplex`, for which this counts as a query. Errors: `ValueError`
    for anything but three probabilities.

    >>> svg((0.6, 0.3, 0.1), on_simplex("top1"))[1]
    "y = (0.60, 0.30, 0.10), y' = (1.00, 0.00, 0.00), L1 = 0.80, label kept"
    """
    probs = torch.tensor([tuple(y)], dtype=torch.float64)
    check_probabilities("y", probs)
    if probs.shape[1] != 3:
        raise ValueError(f"y: expected 3 probabilities, got {probs.shape[1]}")
    answered = answer(probs)
    start, end = _to_pixels(probs)[0], _to_pixels(answered)[0]
    book = getattr(getattr(answer, "defense", None), "codebook", None)
    entries = [] if book is None else _to_pixels(book).tolist()

    kept = bool(probs.argmax() == answered.argmax())
    line = (
        f"y = ({_numbers(probs)}), y' = ({_numbers(answered)}), "
        f"L1 = {float((probs - answered).abs().sum()):.2f}, label {'kept' if kept else 'changed'}"
    )
    if book is not None:
        line += f", {len(book)} codewords"
    outline = " ".join(f"{x:.1f},{z:.1f}" for x, z in CORNERS)
    names = "".join(
        f'<text x="{x:.0f}" y="{z + (-10 if k == 2 else 18):.0f}" text-anchor="middle" '
        f'fill="#222">class {k + 1}</text>'
        for k, (x, z) in enumerate(CORNERS)
    )
    marks = "".join(
        f'<rect x="{x - 4:.1f}" y="{z - 4:.1f}" width="8" height="8" fill="{COLORS["entry"]}"/>'
        for x, z in entries
    )
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE + 2 * EDGE} '
        f'{HIGH + 2 * EDGE:.0f}" role="img" aria-label="Posterior and answer: {line}." '
        f'style="background:#fff;width:100%;max-width:{SIDE + 2 * EDGE}px;height:auto" '
        f'font-family="sans-serif" font-size="12" fill="none">'
        f'<polygon points="{outline}" stroke="#222" stroke-width="1.5"/>{names}{marks}'
        f'<path d="M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}" stroke="#888" '
        f'stroke-width="2"/>{_dot(start, COLORS["y"], "y")}{_dot(end, COLORS["answer"], "answer")}'
        f"</svg>"
    )
    return picture, line


def _to_pixels(probs: torch.Tensor) -> np.ndarray:
    return probs.numpy() @ CORNERS


def _numbers(probs: torch.Tensor) -> str:
    return ", ".join(f"{value:.2f}" for value in probs[0].tolist())


def _dot(at: np.ndarray, color: str, name: str) -> str:
    return (
        f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="7" fill="{color}" stroke="#fff">'
        f"<title>{name}</title></circle>"
        f'<text x="{at[0] + 10:.1f}" y="{at[1] - 6:.1f}" fill="{color}">{name}</text>'
    )
