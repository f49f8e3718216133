"""Streams of batches, models, objectives, recipes and evaluation."""
