"""Counts, sums and longest runs inside many index ranges at once, in the time of one pass over the samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.runs import find_runs

__all__ = ["Ranges"]


@dataclass(frozen=True, slots=True)
class Ranges:
    """Index ranges `[starts, stops)`, int64[n] each, of arrays that are `length` samples long; they may overlap."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    length: int

    @classmethod
    def inside(cls, starts: NDArray[np.int64], stops: NDArray[np.int64], length: int) -> Ranges:
        """Return the ranges cut to `[0, length)`; what lies outside becomes empty."""
        first = np.clip(starts, 0, length)
        return cls(first, np.maximum(first, np.clip(stops, 0, length)), length)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Samples int64[n] of each range."""
        return self.stops - self.starts

    def count(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many of `mask` bool[length] are True, int64[n]."""
        if mask.all():
            return self.sizes
        upto = np.concatenate(([0], np.cumsum(mask, dtype=np.int64)))
        counts: NDArray[np.int64] = upto[self.stops] - upto[self.starts]
        return counts

    def total(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the sum of finite `values` [length], float64[n]."""
        upto = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
        sums: NDArray[np.float64] = upto[self.stops] - upto[self.starts]
        return sums

    def longest(self, mask: NDArray[np.bool_], least: int = 1) -> NDArray[np.int64]:
        """Return the longest run of True inside each range, int64[n]; runs below `least` in the array count as none."""
        starts, stops = find_runs(mask)
        kept = stops - starts >= least
        starts, stops = starts[kept], stops[kept]
        if len(starts) == 0:
            return np.zeros(len(self.starts), np.int64)
        # Runs [first, last) touch the range; all but the outermost two lie inside it whole.
        first = np.searchsorted(stops, self.starts, side="right")
        last = np.searchsorted(starts, self.stops, side="left")
        longest = np.zeros(len(self.starts), np.int64)
        for run in (first, last - 1):
            place = np.clip(run, 0, len(starts) - 1)
            shared = np.minimum(stops[place], self.stops) - np.maximum(starts[place], self.starts)
            longest = np.maximum(longest, np.where(first < last, shared, 0))
        inner = last - first > 2
        if inner.any():
            # reduceat takes pairs of bounds; what lies between two pairs is computed and not looked at.
            bounds = np.stack((first[inner] + 1, last[inner] - 1), axis=1).ravel()
            most = np.maximum.reduceat(stops - starts, bounds)[::2]
            longest[inner] = np.maximum(longest[inner], most)
        return longest
