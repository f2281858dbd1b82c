"""Figures of chapter 1: what a thief sends, what comes back, and what the copy is worth.

Tensors or arrays go in, plotly figures come out. Plotly is imported where it is used.
"""

from __future__ import annotations

import base64
import io

import numpy as np

from queen_ref import plots

DASHES = ("solid", "dash", "dot", "dashdot")


def picture(images) -> str:
    """Images (N, C, H, W) in [0, 1], side by side with a white gap, as a PNG data address.

    >>> picture(torch.rand(8, 1, 28, 28))[:22]
    'data:image/png;base64,'
    """
    from PIL import Image  # optional: only these figures need it

    pixels = np.asarray(images.detach().cpu() if hasattr(images, "detach") else images)
    pixels = (255 * pixels.clip(0, 1)).round().astype(np.uint8).transpose(0, 2, 3, 1)
    framed = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    strip = np.concatenate(list(framed), axis=1)
    strip = np.repeat(strip, 3, axis=2) if strip.shape[2] == 1 else strip
    out = io.BytesIO()
    Image.fromarray(strip).save(out, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def plot_pool_sheet(pools: dict, answers: dict, count: int = 8):
    """One row of images a pool, each with the victim's label and its probability above it.

    Arguments: `pools`, name -> images (N, C, H, W) in [0, 1], of which the first `count` are shown;
    `answers`, name -> the victim's probabilities (N, K) for these images.

    >>> fig = plot_pool_sheet({"noise": noise}, {"noise": api(noise)})
    """
    captions = {}
    for name in pools:
        best, label = (values.tolist() for values in answers[name][:count].max(1))
        captions[name] = [f"{k} ({share:.2f})" for share, k in zip(best, label, strict=True)]
    return plot_sheet({name: images[:count] for name, images in pools.items()}, captions)


def plot_sheet(rows: dict, captions: dict):
    """Rows of images with a line of text above each image.

    Arguments: `rows`, name -> images (N, C, H, W) in [0, 1]; `captions`, name -> N strings, a row
    that is missing here has none.

    >>> fig = plot_sheet({"parent": images[:2], "copy": queries[:2]}, {"parent": ["3", "7"]})
    """
    fig = plots.figure(height=30 + 100 * len(rows)).set_subplots(
        len(rows), 1, vertical_spacing=0.3 / len(rows)
    )
    for row, (name, images) in enumerate(rows.items(), start=1):
        height, width = images.shape[2] + 2, images.shape[3] + 2
        fig.add_image(source=picture(images), row=row, col=1, hoverinfo="skip", name=name)
        for number, text in enumerate(captions.get(name, ())):
            fig.add_annotation(
                x=(number + 0.5) * width, y=-0.03 * height, yanchor="bottom", showarrow=False,
                text=text, font_size=12, row=row, col=1,
            )  # fmt: skip
        plain = {"showticklabels": False, "ticks": "", "showline": False, "showgrid": False}
        fig.update_xaxes(**plain, row=row, col=1)
        fig.update_yaxes(**plain, title_text=name, constrain="domain", row=row, col=1)
    return fig.update_layout(margin={"l": 40, "r": 10, "t": 25, "b": 10})


def plot_answer_bars(images, probs):
    """A few queries and what comes back: the image above, its posterior as bars below.

    Arguments: `images`, (B, C, H, W) in [0, 1], drawn in B columns, 2 to 4 look well; `probs`,
    (B, K) answers.

    >>> fig = plot_answer_bars(queries[:3], api(queries[:3]))
    """
    columns = len(images)
    fig = plots.figure(height=430).set_subplots(
        2, columns, row_heights=[0.42, 0.58], vertical_spacing=0.09, horizontal_spacing=0.05
    )
    probs = np.asarray(probs.cpu())
    for column in range(columns):
        panel = {"row": 1, "col": column + 1}
        fig.add_image(source=picture(images[column : column + 1]), hoverinfo="skip", **panel)
        fig.update_xaxes(visible=False, **panel)
        fig.update_yaxes(visible=False, constrain="domain", **panel)
        y, panel = probs[column], {"row": 2, "col": column + 1}
        colors = [plots.ROLES["neutral"]] * len(y)
        colors[int(y.argmax())] = plots.ROLES["victim"]
        fig.add_bar(x=np.arange(len(y)), y=y.round(4), marker_color=colors, **panel)
        fig.update_xaxes(title_text="class", dtick=1 if len(y) <= 10 else None, **panel)
        fig.update_yaxes(range=[0, 1.02], showticklabels=column == 0, **panel)
    fig.update_yaxes(title_text="probability", row=2, col=1)
    return fig.update_layout(showlegend=False, margin={"t": 15})


def plot_budget_curves(curves: dict, references: dict, height: int = 440):
    """Accuracy (left) and fidelity (right) of substitutes against the query budget.

    Arguments: `curves`, name -> (budgets, scores), scores (budgets, seeds, 2) in [0, 1], accuracy
    and fidelity, with bars from the lowest to the highest of the seeds; `references`, name ->
    accuracy in [0, 1], a level drawn in the left panel; `height`, in pixels.

    >>> curves = {"digits": ([50, 500], np.random.rand(2, 3, 2))}
    >>> fig = plot_budget_curves(curves, {"victim": 0.97})
    """
    budgets = sorted({n for ns, _ in curves.values() for n in ns})
    fig = plots.figure(height=height).set_subplots(1, 2, horizontal_spacing=0.11)
    ends = [budgets[0], budgets[-1]]
    for level, accuracy in references.items():
        fig.add_scatter(
            x=ends, y=[100 * accuracy] * 2, mode="lines", name=level, row=1, col=1,
            line={"color": "#444", "width": 1.5, "dash": "dot"},
        )  # fmt: skip
    colors = [plots.ROLES["substitute"], *plots.CLASS_COLORS[2:4], plots.ROLES["neutral"]]
    for number, (name, (x, scores)) in enumerate(curves.items()):
        color, scores = colors[number % len(colors)], 100 * np.asarray(scores)
        for column in range(scores.shape[2]):
            y = scores[:, :, column]
            bars = plots.seed_whiskers(y, thickness=1.5, width=5)
            fig.add_scatter(
                x=list(x), y=y.mean(1), error_y=bars, mode="lines+markers", name=name,
                legendgroup=name, showlegend=column == 0, row=1, col=column + 1,
                line={"color": color, "dash": DASHES[number % len(DASHES)]},
                marker={"symbol": plots.CLASS_SYMBOLS[number], "size": 9},
            )  # fmt: skip
    fig.update_xaxes(title_text="query budget (images)", type="log", tickvals=budgets)
    fig.update_yaxes(range=[0, 102])
    fig.update_yaxes(title_text="accuracy (% of test images)", row=1, col=1)
    fig.update_yaxes(title_text="fidelity (% of test images)", row=1, col=2)
    return fig.update_layout(legend=plots.legend_above(1.03), margin_t=70)


def plot_paired_dots(rows: dict, x: str):
    """Scores of the same seeds under different conditions: one line of dots a condition.

    Arguments: `rows`, name -> scores (seeds,) in [0, 1], drawn in percent; `x`, label of the axis.

    >>> rows = {"posterior": [0.91, 0.93], "label": [0.9, 0.92]}
    >>> fig = plot_paired_dots(rows, x="accuracy (%)")
    """
    fig = plots.figure(height=120 + 45 * len(rows), x=x)
    names = list(rows)
    for number, name in enumerate(names):
        scores = 100 * np.asarray(rows[name], dtype=float)
        fig.add_scatter(
            x=scores, y=[name] * len(scores), mode="markers", showlegend=False,
            marker={"size": 11, "opacity": 0.8, "symbol": plots.CLASS_SYMBOLS[number % 10],
                    "color": plots.CLASS_COLORS[number % 10]},
        )  # fmt: skip
        fig.add_scatter(
            x=[scores.mean()], y=[name], mode="markers+text", text=[f"{scores.mean():.1f}"],
            textposition="top center", marker={"symbol": "line-ns", "size": 16, "line_width": 2},
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    fig.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    return fig
