"""Figures of the chapters, one file a topic: arrays in, plotly figures out."""
