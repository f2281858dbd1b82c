"""A Sphinx extension: lets the builder `singlehtml` draw what `html` can draw.

Sphinx looks a node's drawing functions up by the builder's name and only then by its format.
sphinx-exercise registers its own for the name `singlehtml`, and everything that is registered for
the format alone, sphinx-design's cards for one, can no longer be found.
"""


def share_drawing(app) -> None:
    known = app.registry.translation_handlers
    known["singlehtml"] = {**known.get("html", {}), **known.get("singlehtml", {})}


def setup(app) -> dict:
    app.connect("builder-inited", share_drawing)
    return {"version": "1", "parallel_read_safe": True}
