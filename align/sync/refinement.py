"""The lag of a segment to a fraction of a sample, near the coarse one, and how sure it is."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.stats import chi2

from sensorloom.align.sync.correlation import information
from sensorloom.align.sync.grid import Grid
from sensorloom.align.sync.segments import COARSE_MS, LEAST_SIGMA_MS, Curves, SegmentLag, Segments, take

__all__ = ["heights", "refine"]

_FINE_MS = 160.0  # a lag is refined this far around the coarse one
_CHANCE = 1e-3  # of a segment of unrelated motion to be kept, at one lag
_LOBE = 0.7  # share of a peak at which its width is measured: nearer to the top noise sharpens it


def refine(
    grid: Grid, segments: Segments, curves: Curves, course: NDArray[np.int64]
) -> tuple[SegmentLag, ...]:
    """Return how late the probe is near `course` int64[S] (indices of lags), where one stands out."""
    rows = zip(segments.starts, curves.halves, curves.usual_halves, curves.lags[course], strict=True)
    return tuple(
        found
        for start, halves, usual, lag in rows
        if (found := _refine_one(grid, (int(start), segments.length), (halves, usual), int(lag))) is not None
    )


def heights(grid: Grid, segments: Segments, curves: Curves, lags: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the evidence float64[S] in nats of the highest point near `lags` int64[S] (lattice steps)."""
    reach = int(np.ceil(COARSE_MS / grid.lattice_ms))
    tops = [
        np.prod(
            _fine_curve(grid, (int(start), segments.length), int(lag) - reach, 2 * reach + 1), axis=0
        ).max()
        for start, lag in zip(segments.starts, lags, strict=True)
    ]
    nats: NDArray[np.float64] = np.maximum(curves.halves * np.array(tops), 0)
    return nats


def _refine_one(
    grid: Grid, place: tuple[int, int], halves: tuple[float, float], lag: int
) -> SegmentLag | None:
    """Return the lag of one segment: a parabola through the top, its deviation from the width of the peak.

    `place` is (start, length) of the segment, `halves` (as evidence, usual) half the numbers of samples.
    """
    reach = int(np.ceil(_FINE_MS / grid.lattice_ms))
    curve, shared = _fine_curve(grid, place, lag - reach, 2 * reach + 1)
    curve = np.maximum(curve, 0)
    num_shared = min(grid.anchor.values.shape[1], grid.probe.shape[1])
    freedom = grid.anchor.values.shape[1] * grid.probe.shape[1]
    peak = int(curve.argmax())
    if peak in (0, 2 * reach) or halves[0] * shared[peak] * curve[peak] < chi2.isf(_CHANCE, freedom) / 2:
        return None
    shares = -np.expm1(-curve / num_shared)
    before, top, after = shares[peak - 1 : peak + 2]
    width = _lobe_width(shares, peak)
    bend = (2 * top - shares[peak - width] - shares[peak + width]) / (width * grid.lattice_ms) ** 2
    if not (2 * top - before - after > 0 and bend > 0):
        return None  # flat: nothing tells where its top is
    found_ns = (
        (lag - reach + peak + 0.5 * (after - before) / (2 * top - before - after)) * grid.lattice_ms * 1e6
    )
    time_ns = grid.anchor.start_ns + (place[0] + (place[1] - 1) / 2) * grid.anchor.step_ns
    lag_ns = found_ns + grid.stretch * (time_ns + found_ns - grid.pivot_ns)
    sigma_ms = np.sqrt((1 - top) / (halves[1] * shared[peak] * num_shared * bend))
    sigma_ms = np.clip(sigma_ms, LEAST_SIGMA_MS, _FINE_MS)
    return SegmentLag(float(time_ns / 1e9), float(lag_ns / 1e6), float(sigma_ms), float(top))


def _lobe_width(shares: NDArray[np.float64], peak: int) -> int:
    """Return the number of steps from the peak to where both sides have fallen, or to the end of the curve."""
    far = min(peak, len(shares) - 1 - peak)
    sides = np.maximum(shares[peak + 1 : peak + far + 1], shares[peak - far : peak][::-1])
    fallen = np.flatnonzero(sides < _LOBE * shares[peak])
    return int(fallen[0]) + 1 if len(fallen) else far


def _fine_curve(
    grid: Grid, place: tuple[int, int], first: int, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return -log(Wilks' lambda) float64[count] of one segment at lattice lags from `first` on.

    Beside it the share float64[count] of its samples that meet a valid one.
    """
    start, length = place
    own = grid.anchor.values[start : start + length]
    own_valid = grid.anchor.valid[start : start + length, None].astype(np.float64)
    begin = np.array([grid.origin + start * grid.per_step + first])
    span = (length - 1) * grid.per_step + count
    other = take(grid.probe, begin, span, 1)[0]
    other_valid = take(grid.probe_valid, begin, span, 1)[0][:, None].astype(np.float64)

    def at_lags(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        windows = sliding_window_view(right, count, axis=0)[:: grid.per_step].reshape(length, -1)
        return np.moveaxis((left.T @ windows).reshape(-1, right.shape[1], count), -1, 0)

    sizes = own.shape[1], other.shape[1]
    curve = information(
        at_lags(own, other),
        at_lags(_products(own), other_valid).reshape(count, sizes[0], sizes[0]),
        at_lags(own_valid, _products(other)).reshape(count, sizes[1], sizes[1]),
    )
    return curve, at_lags(own_valid, other_valid)[:, 0, 0] / length


def _products(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the products float64[n, C * C] of all pairs of channels."""
    return (values[:, :, None] * values[:, None, :]).reshape(len(values), -1)
