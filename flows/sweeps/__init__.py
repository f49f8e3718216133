"""Sweeps: runs of one recipe over a grid of settings, compared."""
