"""The lag between two motion signals, segment by segment: coarsely at every lag, then finely around one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.stats import chi2

from sensorloom.align.sync.correlation import effective_halves, information, information_by_fft
from sensorloom.align.sync.grid import Grid

__all__ = ["Curves", "SegmentLag", "Segments", "coarse_curves", "cut", "heights", "keep_known", "refine"]

_COARSE_MS = 40.0
_FINE_MS = 160.0  # a lag is refined this far around the coarse one
_CHANCE = 1e-3  # of a segment of unrelated motion to be kept, at one lag
_KNOWN = 0.2  # share of lags that must be known of a segment
_LOBE = 0.7  # share of a peak at which its width is measured: nearer to the top noise sharpens it


@dataclass(frozen=True, slots=True)
class SegmentLag:
    """How late the second signal is around `time_s` of the take clock, the middle of a segment.

    `lag_ms` with standard deviation `sigma_ms`; `strength` 0 to 1, the share of the motion that both show.
    """

    time_s: float
    lag_ms: float
    sigma_ms: float
    strength: float


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of `length` anchor samples from `starts` int64[S] on; the coarse search averages `thinning` of them."""

    starts: NDArray[np.int64]
    length: int
    thinning: int


@dataclass(frozen=True, slots=True)
class Curves:
    """What two signals share: `evidence` float64[S, L] in nats at lags int64[L] in lattice steps, NaN is unknown.

    `halves` float64[S] is half the effective number of samples, `freedom` the number of coefficients between the
    channels, `step_ms` the mean step between lags.
    """

    lags: NDArray[np.int64]
    evidence: NDArray[np.float64]
    halves: NDArray[np.float64]
    freedom: int
    step_ms: float


def cut(grid: Grid, segment_s: float) -> Segments:
    """Return segments of `segment_s` with half overlap over what both cover; one segment where that is shorter."""
    first = max(0, -(grid.origin // grid.per_step))
    stop = min(len(grid.anchor.values), (len(grid.probe) - 1 - grid.origin) // grid.per_step + 1)
    thinning = max(1, round(_COARSE_MS * 1e6 / grid.anchor.step_ns))
    length = min(round(segment_s * 1e9 / grid.anchor.step_ns), stop - first) // thinning * thinning
    num = 1 + max(0, round(2 * (stop - first - length) / length))
    starts = first + np.linspace(0, stop - first - length, num).astype(np.int64)
    return Segments(starts, length, thinning)


def keep_known(segments: Segments, curves: Curves) -> tuple[Segments, Curves]:
    """Return both without the segments of which too many lags are unknown: too few valid samples meet."""
    known = np.isfinite(curves.evidence).mean(axis=1) >= _KNOWN
    kept = replace(curves, evidence=curves.evidence[known], halves=curves.halves[known])
    return replace(segments, starts=segments.starts[known]), kept


def coarse_curves(grid: Grid, segments: Segments, reach_ms: float) -> Curves:
    """Return the evidence at lags of up to `reach_ms` either way, every 33 to 60 ms."""
    thinning, length = segments.thinning, segments.length
    step = thinning * grid.per_step
    reach = int(np.ceil(reach_ms / (step * grid.lattice_ms)))
    own = _average(
        _take(grid.anchor.values, segments.starts, length, 1),
        _take(grid.anchor.valid, segments.starts, length, 1),
        thinning,
    )
    num_phases = max(1, round(step * grid.lattice_ms / _COARSE_MS))
    phases = np.round(np.arange(num_phases) * step / num_phases).astype(np.int64)
    curves = []
    for phase in phases:
        begin = grid.origin + segments.starts * grid.per_step - reach * step + phase
        span = length + 2 * reach * thinning
        other = _average(
            _take(grid.probe, begin, span, grid.per_step),
            _take(grid.probe_valid, begin, span, grid.per_step),
            thinning,
        )
        curves.append(information_by_fft(*own, *other))
    lags = (np.arange(-reach, reach + 1)[:, None] * step + phases).ravel()
    curve = np.stack(curves, axis=2).reshape(len(segments.starts), -1)
    freedom = grid.anchor.values.shape[1] * grid.probe.shape[1]
    halves = effective_halves(curve, freedom)
    return Curves(
        lags, np.maximum(halves[:, None] * curve, 0), halves, freedom, step * grid.lattice_ms / num_phases
    )


def _take(array: NDArray[Any], starts: NDArray[np.int64], length: int, step: int) -> NDArray[Any]:
    """Return [S, length, ...] of `array` from `starts` on, every `step`-th; zeros outside."""
    index = starts[:, None] + np.arange(length) * step
    inside = (index >= 0) & (index < len(array))
    taken = array[np.where(inside, index, 0)]
    taken[~inside] = 0
    return taken


def _average(
    values: NDArray[np.float64], valid: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return means of `size` neighbours of values [S, n, C], valid [S, n] where all of them are."""
    num, length = valid.shape
    values = values.reshape(num, length // size, size, -1).mean(axis=2)
    all_valid = np.logical_and.reduce(valid.reshape(num, length // size, size), axis=2)
    values[~all_valid] = 0
    return values, all_valid


def refine(
    grid: Grid, segments: Segments, curves: Curves, course: NDArray[np.int64]
) -> tuple[SegmentLag, ...]:
    """Return how late the probe is near `course` int64[S] (indices of lags), where one stands out."""
    return tuple(
        found
        for start, halves, lag in zip(segments.starts, curves.halves, curves.lags[course], strict=True)
        if (found := _refine_one(grid, int(start), segments.length, float(halves), int(lag))) is not None
    )


def heights(grid: Grid, segments: Segments, curves: Curves, lags: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the evidence float64[S] in nats of the highest point near `lags` int64[S] (lattice steps)."""
    reach = int(np.ceil(_COARSE_MS / grid.lattice_ms))
    tops = [
        _fine_curve(grid, int(start), segments.length, int(lag) - reach, 2 * reach + 1).max()
        for start, lag in zip(segments.starts, lags, strict=True)
    ]
    nats: NDArray[np.float64] = np.maximum(curves.halves * np.array(tops), 0)
    return nats


def _refine_one(grid: Grid, start: int, length: int, halves: float, lag: int) -> SegmentLag | None:
    """Return the lag of one segment: a parabola through the top, its deviation from the width of the peak."""
    reach = int(np.ceil(_FINE_MS / grid.lattice_ms))
    curve = np.maximum(_fine_curve(grid, start, length, lag - reach, 2 * reach + 1), 0)
    num_shared = min(grid.anchor.values.shape[1], grid.probe.shape[1])
    freedom = grid.anchor.values.shape[1] * grid.probe.shape[1]
    peak = int(curve.argmax())
    if peak in (0, 2 * reach) or halves * curve[peak] < chi2.isf(_CHANCE, freedom) / 2:
        return None
    shares = -np.expm1(-curve / num_shared)
    before, top, after = shares[peak - 1 : peak + 2]
    shift = 0.5 * (before - after) / (before - 2 * top + after)
    found_ns = (lag - reach + peak + shift) * grid.lattice_ms * 1e6
    width = _lobe_width(shares, peak)
    bend = (2 * top - shares[peak - width] - shares[peak + width]) / (width * grid.lattice_ms) ** 2
    time_ns = grid.anchor.start_ns + (start + (length - 1) / 2) * grid.anchor.step_ns
    lag_ns = found_ns + grid.stretch * (time_ns + found_ns - grid.pivot_ns)
    sigma_ms = np.sqrt((1 - top) / (halves * num_shared * bend))
    return SegmentLag(float(time_ns / 1e9), float(lag_ns / 1e6), float(sigma_ms), float(top))


def _lobe_width(shares: NDArray[np.float64], peak: int) -> int:
    """Return the number of steps from the peak to where both sides have fallen, or to the end of the curve."""
    far = min(peak, len(shares) - 1 - peak)
    sides = np.maximum(shares[peak + 1 : peak + far + 1], shares[peak - far : peak][::-1])
    fallen = np.flatnonzero(sides < _LOBE * shares[peak])
    return int(fallen[0]) + 1 if len(fallen) else far


def _fine_curve(grid: Grid, start: int, length: int, first: int, count: int) -> NDArray[np.float64]:
    """Return -log(Wilks' lambda) float64[count] of one segment at lattice lags from `first` on."""
    own = grid.anchor.values[start : start + length]
    own_valid = grid.anchor.valid[start : start + length, None].astype(np.float64)
    begin = np.array([grid.origin + start * grid.per_step + first])
    span = (length - 1) * grid.per_step + count
    other = _take(grid.probe, begin, span, 1)[0]
    other_valid = _take(grid.probe_valid, begin, span, 1)[0][:, None].astype(np.float64)

    def at_lags(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        windows = sliding_window_view(right, count, axis=0)[:: grid.per_step].reshape(length, -1)
        return np.moveaxis((left.T @ windows).reshape(-1, right.shape[1], count), -1, 0)

    sizes = own.shape[1], other.shape[1]
    return information(
        at_lags(own, other),
        at_lags(_products(own), other_valid).reshape(count, sizes[0], sizes[0]),
        at_lags(own_valid, _products(other)).reshape(count, sizes[1], sizes[1]),
    )


def _products(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the products float64[n, C * C] of all pairs of channels."""
    return (values[:, :, None] * values[:, None, :]).reshape(len(values), -1)
