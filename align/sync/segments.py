"""Segments of two motion signals, and what each of them shows in common at every lag, coarsely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.sync.correlation import effective_halves, information_by_fft
from sensorloom.align.sync.grid import Grid

__all__ = ["COARSE_MS", "Curves", "SegmentLag", "Segments", "coarse_curves", "cut", "keep_known", "take"]

COARSE_MS = 40.0
_KNOWN = 0.2  # share of lags that must be known of a segment


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
    thinning = max(1, round(COARSE_MS * 1e6 / grid.anchor.step_ns))
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
        take(grid.anchor.values, segments.starts, length, 1),
        take(grid.anchor.valid, segments.starts, length, 1),
        thinning,
    )
    num_phases = max(1, round(step * grid.lattice_ms / COARSE_MS))
    phases = np.round(np.arange(num_phases) * step / num_phases).astype(np.int64)
    curves = []
    for phase in phases:
        begin = grid.origin + segments.starts * grid.per_step - reach * step + phase
        span = length + 2 * reach * thinning
        other = _average(
            take(grid.probe, begin, span, grid.per_step),
            take(grid.probe_valid, begin, span, grid.per_step),
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


def take(array: NDArray[Any], starts: NDArray[np.int64], length: int, step: int) -> NDArray[Any]:
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
