"""Segments: what lies between gaps and breaks, with short losses bridged and every output's quality known.

Gaps are measured between samples that are present, in time. A loss of at most the limit is bridged by a line
in time; a longer one, and any break, ends a segment, and nothing is filtered across it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.runs import mark_ranges
from sensorloom.align.timeline import GRID_STEP_NS, Grid, Quality
from sensorloom.ingest.take import Interval

__all__ = ["Samples", "Segments", "bridge", "find_segments", "grade", "insert_absent"]

_ABSENT = 1.75  # an interval this many times the usual one lacks samples


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows: strictly increasing stamps int64[N], values float32[N, C], present and retimed bool[N]."""

    times_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    present: NDArray[np.bool_]
    retimed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segments:
    """Indices int64[P] of present rows outside breaks; `cut` bool[P - 1] where a segment ends after one."""

    rows: NDArray[np.int64]
    cut: NDArray[np.bool_]

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """First and last row of each segment, both present, in order."""
        if len(self.rows) == 0:
            return []
        ends = np.flatnonzero(self.cut)
        first = self.rows[np.concatenate(([0], ends + 1))]
        last = self.rows[np.concatenate((ends, [len(self.rows) - 1]))]
        return list(zip(first.tolist(), last.tolist(), strict=True))


def insert_absent(samples: Samples, max_gap_ns: int) -> Samples:
    """Add missing rows evenly where an interval of at most `max_gap_ns` leaves room for dropped ones."""
    intervals = np.diff(samples.times_ns)
    if len(intervals) == 0 or intervals.min() == intervals.max():
        return samples
    usual = float(np.median(intervals))
    wide = (intervals >= _ABSENT * usual) & (intervals <= max_gap_ns)
    if not wide.any():
        return samples
    copies = np.where(wide, np.rint(intervals / usual).astype(np.int64), 1)
    source = np.append(np.repeat(np.arange(len(intervals)), copies), len(intervals))
    step = np.arange(len(source)) - np.append(np.cumsum(copies) - copies, len(source) - 1)[source]
    share = step / np.append(copies, 1)[source]
    offset = np.rint(share * np.append(intervals, 0)[source]).astype(np.int64)
    recorded = step == 0
    values = samples.values[source]
    values[~recorded] = np.nan
    return Samples(
        samples.times_ns[source] + offset,
        values,
        samples.present[source] & recorded,
        samples.retimed[source] & recorded,
    )


def find_segments(samples: Samples, breaks: tuple[Interval, ...], max_gap_ns: int) -> Segments:
    """Find the segments between breaks and between gaps of more than `max_gap_ns`."""
    usable = samples.present
    for pause in breaks:
        inside = slice(*np.searchsorted(samples.times_ns, (pause.start_ns, pause.stop_ns)))
        if inside.start < inside.stop:
            usable = usable.copy() if usable is samples.present else usable
            usable[inside] = False
    rows = np.flatnonzero(usable)
    times = samples.times_ns[rows]
    cut = np.diff(times) > max_gap_ns
    for pause in breaks:
        pair = int(np.searchsorted(times, pause.start_ns)) - 1
        if 0 <= pair < len(cut):
            cut[pair] = True
    return Segments(rows, cut)


def bridge(samples: Samples, segments: Segments) -> NDArray[np.float32]:
    """Return values float32[N, C] with missing rows on a line in time between the present rows around them.

    Rows outside all segments are filled too, with what no one reads. No present row at all gives zeros.
    """
    rows = segments.rows
    if len(rows) == len(samples.times_ns):
        return samples.values
    if len(rows) == 0:
        return np.zeros_like(samples.values)
    known = np.zeros(len(samples.times_ns), np.bool_)
    known[rows] = True
    missing = np.flatnonzero(~known)
    after = np.searchsorted(rows, missing)
    left, right = rows[np.maximum(after - 1, 0)], rows[np.minimum(after, len(rows) - 1)]
    times = samples.times_ns
    span = np.maximum(times[right] - times[left], 1)
    share = np.clip((times[missing] - times[left]) / span, 0.0, 1.0).astype(np.float32)[:, None]
    filled = samples.values.copy()
    filled[missing] = filled[left] * (1 - share) + filled[right] * share
    return filled


def grade(samples: Samples, segments: Segments, grid: Grid) -> NDArray[np.uint8]:
    """Return the `Quality` uint8[T] of every instant of the grid, from the present rows that bound it."""
    quality = np.zeros(grid.num_samples, np.uint8)
    for first, last in segments.bounds:
        start = max(0, grid.index(int(samples.times_ns[first])))
        quality[start : max(start, grid.index(int(samples.times_ns[last]) + 1))] = Quality.VALID
    rows, joined = segments.rows, ~segments.cut
    times, retimed = samples.times_ns[rows], samples.retimed[rows]
    if retimed.any():
        pairs = np.flatnonzero(joined & (retimed[:-1] | retimed[1:]))
        starts, stops = _between(grid, times[pairs], times[pairs + 1])
        on_grid_start, on_grid_stop = _between(grid, times[retimed] - 1, times[retimed] + 1)
        starts, stops = np.concatenate((starts, on_grid_start)), np.concatenate((stops, on_grid_stop))
        quality[mark_ranges(grid.num_samples, starts, stops)] = Quality.RETIMED
    pairs = np.flatnonzero(joined & (np.diff(rows) > 1))
    if len(pairs):
        starts, stops = _between(grid, times[pairs], times[pairs + 1])
        quality[mark_ranges(grid.num_samples, starts, stops)] = Quality.INTERPOLATED
    return quality


def _between(
    grid: Grid, after_ns: NDArray[np.int64], before_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the half-open index ranges of the grid's instants strictly between two times."""
    return (after_ns - grid.start_ns) // GRID_STEP_NS + 1, -((grid.start_ns - before_ns) // GRID_STEP_NS)
