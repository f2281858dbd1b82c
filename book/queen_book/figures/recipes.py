"""A figure of the thief's recipe: how good his copy is after each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from queen_ref import plots

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STYLES = (("neutral", "solid"), ("victim", "dot"), ("recorded", "dash"))  # role of colour, dash


def plot_epochs(
    curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], height: int = 760
) -> Figure:
    """A panel a recipe: accuracy of the copy by epoch, a line a thief, with the range of the seeds.

    Arguments: `curves`, for each recipe and in it for each thief (three at most) the accuracies,
    (S, E) for S seeds and E epochs; `height` in pixels.
    Errors: `ValueError` for no recipe, or more than three thieves.

    >>> fig = plot_epochs({"constant rate": {"naive": [[0.5, 0.8], [0.6, 0.9]]}})
    """
    from plotly.subplots import make_subplots  # optional: only figures need it

    thieves = list(dict.fromkeys(name for some in curves.values() for name in some))
    if not curves or len(thieves) > len(STYLES):
        raise ValueError(
            f"curves: expected a recipe, and {len(STYLES)} thieves or fewer, got {len(thieves)}"
        )
    fig = make_subplots(
        rows=len(curves), shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.08,
        subplot_titles=list(curves),
        figure=plots.figure("After some eight epochs he learns the lies", height=height),
    )  # fmt: skip
    for row, some in enumerate(curves.values(), start=1):
        for name, values in some.items():
            role, dash = STYLES[thieves.index(name)]
            color, found = plots.ROLES[role], np.asarray(values)
            epochs = np.arange(1, found.shape[1] + 1)
            fig.add_scatter(
                x=np.r_[epochs, epochs[::-1]], y=np.r_[found.max(0), found.min(0)[::-1]],
                fill="toself", fillcolor=color, opacity=0.15, line_width=0, mode="lines",
                hoverinfo="skip", showlegend=False, legendgroup=name, row=row, col=1,
            )  # fmt: skip
            fig.add_scatter(
                x=epochs, y=found.mean(0), mode="lines", name=name, legendgroup=name,
                line={"color": color, "dash": dash, "width": 2.5}, showlegend=row == 1,
                hovertemplate=f"{name}, epoch %{{x}}: %{{y:.3f}}<extra></extra>", row=row, col=1,
            )  # fmt: skip
        fig.update_yaxes(title_text="accuracy", row=row, col=1)
    fig.update_xaxes(title_text="epoch", row=len(curves), col=1)
    return fig.update_layout(legend=plots.legend_above(1.05), margin_t=130, title_y=0.985)
