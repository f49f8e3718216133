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
_FEW, _LEAST_LAGS = (
    1 / 3,
    2,
)  # of the segments that move, and at least so many, must show a lag: else it is chance
_APART = 0.75  # of a segment: so far apart are the middles of two that share less than half
_STEEPEST_MS = 80.0  # what the course of lags follows from one segment to the next, half a segment later
_NOISE_RATIO = 1.65  # mean square of steps over variance
_ROUNDING = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class SyncEstimate:
    """How late signal `second` is stamped against `first`: what `first` shows at t, `second` shows at t + offset.

    `offset_ms` is the offset in the middle of what both cover, `drift_ppm` its growth in µs a second, each with
    the half width of its 95 % interval. Drift is None where the span is too short to tell, all are None where
    nothing can be told and `reason` says why. `jump_ms` is the largest sure step of the offset, None without one;
    with one, the offset is that of the stretch in the middle and the drift that between jumps; `jump_ci_ms` is the
    half width of its interval.
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
    jump_ci_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """Lags of the probe against the anchor, or the `reason` why there are none."""

    reason: str
    lags: tuple[SegmentLag, ...] = ()


def estimate(
    first: MotionSignal,
    second: MotionSignal,
    *,
    method: str,
    max_lag_ms: float = 2000.0,
    segment_s: float = 20.0,
) -> SyncEstimate:
    """Estimate how late `second` is against `first`, searching 10.5 s beyond `max_lag_ms` for what has jumped.

    So an offset of up to `max_lag_ms` + 10.5 s comes back; whoever knows better refuses what is too far off. No jump
    above 10.5 s is told and no drift above what neighbouring segments can follow (8,000 ppm with segments of 20 s).
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
    if abs(line.jump_ms or 0.0) > _JUMP_MS or abs(line.drift_ppm or 0.0) > 2e3 * _STEEPEST_MS / segment_s:
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
        jump_ci_ms=line.jump_ci_ms,
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
    if reason:
        return _Found(reason)
    lags = refine(grid, segments, curves, course)
    if not lags:
        return _Found(NO_PEAK)
    # A few of many segments, or two that share the one moment that agrees: chance, or a drift of per cents.
    few = len(lags) < max(_LEAST_LAGS, _FEW * curves.moves.sum())
    shared = lags[-1].time_s - lags[0].time_s < _APART * segments.length * grid.anchor.step_ns / 1e9
    return _Found(NO_COURSE) if len(course) > _LEAST_LAGS and (few or shared) else _Found("", lags)


def _seen_from_probe(lag: SegmentLag) -> SegmentLag:
    """Return how late the anchor is against the probe, at the time that the probe tells."""
    return replace(lag, time_s=lag.time_s + lag.lag_ms / 1e3, lag_ms=-lag.lag_ms)


def _common_s(first: MotionSignal, second: MotionSignal) -> float:
    """Return for how many seconds both signals are valid at once."""
    step = max(first.step_ns, second.step_ns)
    start, stop = max(first.start_ns, second.start_ns), min(first.stop_ns, second.stop_ns)
    times = np.arange(start, stop - step + 1, step, dtype=np.int64) + step // 2
    both = np.ones(len(times), np.bool_)
    for signal in (first, second):
        both &= signal.valid[(times - signal.start_ns) // signal.step_ns]
    return float(both.sum() * step / 1e9)


def _stands_still(signal: MotionSignal) -> bool:
    """Tell whether no valid value differs from another by more than rounding."""
    values = signal.values[signal.valid]
    return bool((np.ptp(values, axis=0) <= _ROUNDING * np.abs(values).max(axis=0)).all())


def _is_noise(signal: MotionSignal) -> bool:
    """Tell whether every sample is new, as noise is and motion is not (von Neumann's ratio is 2 for such noise)."""
    together = signal.valid[1:] & signal.valid[:-1]
    squares = variance = 0.0
    for channel in signal.values.T:
        steps = np.diff(channel)[together].astype(np.float64)
        squares += float((steps**2).mean()) if len(steps) else 0.0
        variance += float(channel[signal.valid].var(dtype=np.float64))
    return squares > _NOISE_RATIO * variance
