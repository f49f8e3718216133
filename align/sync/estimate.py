"""Offset and drift of two motion signals, with what can be believed of them.

Segments of half a minute or less are compared at every lag up to twelve seconds; the likeliest course of the lag
over the segments is refined to fractions of a sample and a robust line with jumps is laid through it. Nothing is
told where chance would show as much, or where another lag fits nearly as well (walking in step, a machine).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sensorloom.align.sync.doubt import (
    NO_COURSE,
    NO_PEAK,
    TOO_LITTLE,
    TOO_PATCHY,
    TOO_SHORT,
    beyond_chance,
    find_doubt,
)
from sensorloom.align.sync.fit import fit_line
from sensorloom.align.sync.grid import Grid, lay_on_grid, middle_ns
from sensorloom.align.sync.path import follow
from sensorloom.align.sync.refinement import refine
from sensorloom.align.sync.segments import SegmentLag, coarse_curves, cut, keep_known
from sensorloom.align.sync.signal import MotionSignal

__all__ = ["LEAST_COMMON_S", "SyncEstimate", "estimate"]

LEAST_COMMON_S = 5.0

_JUMP_MS = 10_500.0  # searched beyond the largest lag: a gap of ten seconds closed up
_REFIT_PPM = 200.0  # above this, drift inside a segment blurs the peak: undo it and look again
_FLOOR_MS = 0.25  # what the model itself may err, and by how much of the coarser signal's step
_FLOOR_STEPS = 0.01
_FEW, _SCATTERED_MS = 1 / 3, 30.0  # so small a share of segments, scattered so wide, lies on no line
_NOISE_RATIO = 1.65  # mean square of steps over variance
_ROUNDING = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class SyncEstimate:
    """How late signal `second` is stamped against `first`: what `first` shows at t, `second` shows at t + offset.

    `offset_ms` is the offset in the middle of what both cover, `drift_ppm` its growth in µs a second, each with
    the half width of its 95 % interval. Drift is None where the span is too short to tell, all are None where
    nothing can be told and `reason` says why. `jump_ms` is the largest sure step of the offset, None without one;
    with one, the offset is that of the stretch in the middle and the drift that between jumps.
    """

    first: str
    second: str
    method: str
    offset_ms: float | None = None
    offset_ci_ms: float | None = None
    drift_ppm: float | None = None
    drift_ci_ppm: float | None = None
    jump_ms: float | None = None
    reason: str = ""
    segments: tuple[SegmentLag, ...] = ()
    residual_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """Lags of the probe against the anchor in `num_segments` segments, or the `reason` why there are none."""

    reason: str
    lags: tuple[SegmentLag, ...] = ()
    num_segments: int = 0


def estimate(
    first: MotionSignal,
    second: MotionSignal,
    *,
    method: str,
    max_lag_ms: float = 2000.0,
    segment_s: float = 20.0,
) -> SyncEstimate:
    """Estimate how late `second` is against `first`, searching 10.5 s beyond `max_lag_ms` for what has jumped.

    Segments of `segment_s` overlap by half; below 25 s between the first and the last no drift is told.
    """
    blank = SyncEstimate(first.name, second.name, method)
    if _common_s(first, second) < LEAST_COMMON_S:
        return replace(blank, reason=TOO_SHORT)
    if _stands_still(first) or _stands_still(second):
        return replace(blank, reason=TOO_LITTLE)
    swapped = first.step_ns < second.step_ns
    anchor, probe = (second, first) if swapped else (first, second)
    middle_s = middle_ns(first, second) / 1e9
    floor_ms = _FLOOR_MS + _FLOOR_STEPS * anchor.step_ns / 1e6
    found = _search(anchor, probe, segment_s, max_lag_ms + _JUMP_MS)
    if found.reason:
        noise = found.reason == NO_PEAK and (_is_noise(first) or _is_noise(second))
        return replace(blank, reason=TOO_LITTLE if noise else found.reason)
    lags = tuple(_seen_from_probe(lag) for lag in found.lags) if swapped else found.lags
    line = fit_line(lags, middle_s, floor_ms)
    # A few segments that agree on no line: chance, or a drift of per cents.
    if len(lags) < _FEW * found.num_segments and line.residual_ms > _SCATTERED_MS:
        return replace(blank, reason=NO_COURSE)
    return SyncEstimate(
        first.name,
        second.name,
        method,
        offset_ms=line.offset_ms,
        offset_ci_ms=line.offset_ci_ms,
        drift_ppm=line.drift_ppm,
        drift_ci_ppm=line.drift_ci_ppm,
        jump_ms=line.jump_ms,
        segments=lags,
        residual_ms=line.residual_ms,
    )


def _search(anchor: MotionSignal, probe: MotionSignal, segment_s: float, reach_ms: float) -> _Found:
    """Find the lags; where drift blurs them, again with the drift undone."""
    found = _find_lags(lay_on_grid(anchor, probe), segment_s, reach_ms)
    if found.reason:
        return found
    drift_ppm = fit_line(found.lags, middle_ns(anchor, probe) / 1e9, 0.0).drift_ppm
    if drift_ppm is None or abs(drift_ppm) < _REFIT_PPM:
        return found
    sharper = _find_lags(lay_on_grid(anchor, probe, stretch=drift_ppm / 1e6), segment_s, reach_ms)
    return found if sharper.reason else sharper


def _find_lags(grid: Grid, segment_s: float, reach_ms: float) -> _Found:
    """Find the lags of the probe against the anchor along the likeliest course."""
    segments = cut(grid, segment_s)
    segments, curves = keep_known(segments, coarse_curves(grid, segments, reach_ms))
    if not len(segments.starts):
        return _Found(TOO_PATCHY)
    course = follow(beyond_chance(curves))
    reason = find_doubt(grid, segments, curves, course)
    lags = () if reason else refine(grid, segments, curves, course)
    return _Found("" if lags else reason or NO_PEAK, lags, len(course))


def _seen_from_probe(lag: SegmentLag) -> SegmentLag:
    """Return how late the anchor is against the probe, at the time that the probe tells."""
    return replace(lag, time_s=lag.time_s + lag.lag_ms / 1e3, lag_ms=-lag.lag_ms)


def _common_s(first: MotionSignal, second: MotionSignal) -> float:
    """Return the seconds that both cover, as far as each is valid there."""
    start, stop = max(first.start_ns, second.start_ns), min(first.stop_ns, second.stop_ns)
    shared = []
    for signal in (first, second):
        inside = slice(
            *(max(0, (at - signal.start_ns) // signal.step_ns) for at in (start, max(start, stop)))
        )
        shared.append(signal.valid[inside].sum() * signal.step_ns / 1e9)
    return float(min(shared))


def _stands_still(signal: MotionSignal) -> bool:
    """Tell whether no valid value differs from another by more than rounding."""
    values = signal.values[signal.valid].astype(np.float64)
    return bool((np.ptp(values, axis=0) <= _ROUNDING * np.abs(values).max(axis=0)).all())


def _is_noise(signal: MotionSignal) -> bool:
    """Tell whether every sample is new, as noise is and motion is not (von Neumann's ratio is 2 for such noise)."""
    values = signal.values.astype(np.float64)
    steps = np.diff(values, axis=0)[signal.valid[1:] & signal.valid[:-1]]
    variance = values[signal.valid].var(axis=0).sum()
    return bool((steps**2).mean(axis=0).sum() > _NOISE_RATIO * variance)
