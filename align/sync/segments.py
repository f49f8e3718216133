"""Segments of two motion signals, and what each of them shows in common at every lag, coarsely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.sync.correlation import effective_halves, information_by_fft
from sensorloom.align.sync.grid import Grid

__all__ = [
    "COARSE_MS",
    "LEAST_SIGMA_MS",
    "Curves",
    "SegmentLag",
    "Segments",
    "coarse_curves",
    "cut",
    "keep_known",
    "take",
]

COARSE_MS = 40.0
LEAST_SIGMA_MS = 0.01  # what no peak of samples every 10 ms can be told better than
_KNOWN = 0.2  # share of lags that must be known of a segment
_MOVES_S = 1.0  # a segment that moves for less shows nothing either way
_BLOCK = 64  # segments that are compared at once: half a gigabyte would be too much for a day's take


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

    `halves` float64[S] is half the number of samples that count as evidence, `usual_halves` float64[S] what most
    lags show of it, `moves` bool[S] tells segments that can show anything; `freedom` is the number of coefficients
    between the channels, `step_ms` the mean step between lags.
    """

    lags: NDArray[np.int64]
    evidence: NDArray[np.float64]
    halves: NDArray[np.float64]
    usual_halves: NDArray[np.float64]
    moves: NDArray[np.bool_]
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
    kept = replace(
        curves,
        evidence=curves.evidence[known],
        halves=curves.halves[known],
        usual_halves=curves.usual_halves[known],
        moves=curves.moves[known],
    )
    return replace(segments, starts=segments.starts[known]), kept


def coarse_curves(grid: Grid, segments: Segments, reach_ms: float) -> Curves:
    """Return the evidence at lags of up to `reach_ms` either way, every 33 to 60 ms."""
    step = segments.thinning * grid.per_step
    reach = int(np.ceil(reach_ms / (step * grid.lattice_ms)))
    num_phases = max(1, round(step * grid.lattice_ms / COARSE_MS))
    phases = np.round(np.arange(num_phases) * step / num_phases).astype(np.int64)
    blocks = [
        _curves_of(grid, replace(segments, starts=segments.starts[at : at + _BLOCK]), reach, phases)
        for at in range(0, len(segments.starts), _BLOCK)
    ]
    curve, active_s, moves = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    freedom = grid.anchor.values.shape[1] * grid.probe.shape[1]
    halves, usual_halves = effective_halves(curve, freedom, active_s)
    return Curves(
        lags=(np.arange(-reach, reach + 1)[:, None] * step + phases).ravel(),
        evidence=np.maximum(halves[:, None] * curve, 0),
        halves=halves,
        usual_halves=usual_halves,
        moves=moves,
        freedom=freedom,
        step_ms=step * grid.lattice_ms / num_phases,
    )


def _curves_of(
    grid: Grid, segments: Segments, reach: int, phases: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return what `segments` say at each lag float64[S, L], over how many seconds float64[S], and if they move."""
    thinning, length = segments.thinning, segments.length
    own = _average(
        take(grid.anchor.values, segments.starts, length, 1),
        take(grid.anchor.valid, segments.starts, length, 1),
        thinning,
    )
    curves = []
    for phase in phases:
        begin = grid.origin + segments.starts * grid.per_step - reach * thinning * grid.per_step + phase
        span = length + 2 * reach * thinning
        other = _average(
            take(grid.probe, begin, span, grid.per_step),
            take(grid.probe_valid, begin, span, grid.per_step),
            thinning,
        )
        curves.append(information_by_fft(*own, *other))
    # Loud samples have a power near 1, quiet ones near 0; sum² / sum of squares is over how many it is spread.
    power, step_s = (own[0] ** 2).sum(axis=2), thinning * grid.anchor.step_ns / 1e9
    squares, total = (power**2).sum(axis=1), power.sum(axis=1)
    active_s = total**2 / np.where(squares > 0, squares, 1) * step_s
    return np.stack(curves, axis=2).reshape(len(power), -1), active_s, total * step_s >= _MOVES_S


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
