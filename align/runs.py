"""Runs of a boolean array, and marks over half-open index ranges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_runs", "mark_ranges"]


def find_runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return starts int64[R] and stops int64[R] of the runs of True in bool[N], half-open, in order."""
    if not mask.any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    bounds = np.concatenate(([0] if mask[0] else [], edges, [len(mask)] if mask[-1] else [])).astype(np.int64)
    return bounds[0::2], bounds[1::2]


def mark_ranges(length: int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return bool[length], True inside any range; ranges may overlap, be empty or leave the array."""
    first, last = np.clip(starts, 0, length), np.clip(stops, 0, length)
    keep = first < last
    change = np.bincount(first[keep], minlength=length + 1) - np.bincount(last[keep], minlength=length + 1)
    inside: NDArray[np.bool_] = np.cumsum(change[:length]) > 0
    return inside
