"""Whether a course of lags may be believed: more than chance would show, and no other lag fits as well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from sensorloom.align.sync.grid import Grid
from sensorloom.align.sync.refinement import heights
from sensorloom.align.sync.segments import Curves, Segments

__all__ = [
    "NO_COURSE",
    "NO_PEAK",
    "REPETITIVE",
    "TOO_LITTLE",
    "TOO_PATCHY",
    "TOO_SHORT",
    "beyond_chance",
    "find_doubt",
]

TOO_SHORT = "under 5 s in common"
TOO_LITTLE = "too little motion"
REPETITIVE = "repetitive motion"
NO_PEAK = "no clear peak"
NO_COURSE = "lags on no line"
TOO_PATCHY = "too many gaps"

_CHANCE_SEGMENT, _CHANCE_TAKE = 0.05, 1e-8  # set where unrelated generated motion stays below, of 1,000 takes
_OTHER_MS = 4000.0  # how far another lag is looked for
_SUSPECT = 0.4  # share of the evidence at which another lag is looked at closely
_AS_GOOD, _AS_GOOD_NATS = 0.85, 6.0
_NEW_PER_S = 1.0  # effective samples a second: generated motion that repeats has 0.3, that does not 5 to 12


def beyond_chance(curves: Curves) -> NDArray[np.float64]:
    """Return the evidence float64[S, L] above what one segment of unrelated motion shows at one lag in twenty."""
    chance = chi2.isf(_CHANCE_SEGMENT, curves.freedom) / 2
    beyond: NDArray[np.float64] = np.maximum(np.nan_to_num(curves.evidence) - chance, 0)
    return beyond


def find_doubt(grid: Grid, segments: Segments, curves: Curves, course: NDArray[np.int64]) -> str:
    """Return why the course int64[S] through `curves` cannot be believed, or ""."""
    stacked = _stack(curves, course)
    middle = len(stacked) // 2
    needed = len(course) * chi2.isf(_CHANCE_SEGMENT, curves.freedom) + chi2.isf(_CHANCE_TAKE, curves.freedom)
    if 2 * stacked[middle] < needed:
        # Motion that agrees at many lags says so little anew that no agreement is evidence.
        length_s = segments.length * grid.anchor.step_ns / 1e9
        return REPETITIVE if 2 * np.median(curves.usual_halves) < _NEW_PER_S * length_s else NO_PEAK
    outside = _outside_the_lobe(stacked)
    if not outside.any():
        return REPETITIVE
    other = int(np.where(outside, stacked, -1).argmax())
    if stacked[other] < _SUSPECT * stacked[middle]:
        return ""
    # The coarse lags may meet one peak at its top and the other beside it: compare them finely.
    lags = curves.lags[course]
    here = heights(grid, segments, curves, lags).sum()
    there = heights(
        grid, segments, curves, lags + round((other - middle) * curves.step_ms / grid.lattice_ms)
    ).sum()
    return REPETITIVE if there > min(_AS_GOOD * here, here - _AS_GOOD_NATS) else ""


def _stack(curves: Curves, course: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the evidence of all segments at lags before and after their course, which stands in the middle.

    Segments that know nothing of a lag (it lies beyond the signal) count as the others do on average.
    """
    reach = round(_OTHER_MS / curves.step_ms)
    index = course[:, None] + np.arange(-reach, reach + 1)
    inside = (index >= 0) & (index < len(curves.lags))
    shifted = np.take_along_axis(curves.evidence, np.where(inside, index, 0), axis=1)
    known = inside & np.isfinite(shifted)
    total = np.where(known, shifted, 0).sum(axis=0)
    stacked: NDArray[np.float64] = total * len(course) / np.maximum(known.sum(axis=0), 1)
    return stacked


def _outside_the_lobe(stacked: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return bool[2 R + 1], lags beyond the valleys on both sides of the middle; none where a side has no valley."""
    middle = len(stacked) // 2
    outside = np.zeros(len(stacked), np.bool_)
    sides = _valley(stacked[middle:]), _valley(stacked[middle::-1])
    if all(sides):
        outside[middle + sides[0] + 1 :] = True
        outside[: middle - sides[1]] = True
    return outside


def _valley(falling: NDArray[np.float64]) -> int:
    """Return the index of the first minimum of `falling` below half of its start, 0 where there is none."""
    turns = np.flatnonzero((falling[1:-1] < 0.5 * falling[0]) & (falling[2:] >= falling[1:-1]))
    return int(turns[0]) + 1 if len(turns) else 0
