"""Pictures with sliders: a kernel redraws them, or a film stands in its place."""
