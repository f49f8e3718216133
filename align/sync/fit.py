"""A line through the lags of segments, with steps where the offset jumps, and intervals that own up to doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from sensorloom.align.sync.segments import LEAST_SIGMA_MS, SegmentLag
from sensorloom.align.sync.steps import SteppedLine, find_jumps, fit_steps

__all__ = ["Line", "fit_line"]

_MOST_SIGMA_MS = 1e4
_PRIOR_FREEDOM = 6.0  # segments' worth of trust in the stated deviations, and what is seen of their squares
_PRIOR_SPREAD = 0.45  # on generated motion: 0.2 where noise is low to 0.65 where it is high
_CONFIDENCE = 0.975
_DRIFT_SEGMENTS = 4
_DRIFT_SPAN_S = 25.0
_BEND_SEGMENTS = 12
_BEND_WIDTHS = (
    2.0  # root mean squares of a bend: the most that a bow is off the line, a slow wave off its slope
)


@dataclass(frozen=True, slots=True)
class Line:
    """Offset at a given time, drift and largest jump with half widths of 95 % intervals, spread of what is left.

    Drift is None below four segments or where their middles span less than 25 s.
    """

    offset_ms: float
    offset_ci_ms: float
    drift_ppm: float | None
    drift_ci_ppm: float | None
    jump_ms: float | None
    jump_ci_ms: float | None
    residual_ms: float


def fit_line(lags: Sequence[SegmentLag], at_s: float, floor_ms: float) -> Line:
    """Fit offset at `at_s` and drift to lags of half-overlapping segments in order of time.

    Huber's weights by iteration (Huber 1964), jumps where neighbours show them (`find_jumps`). `floor_ms` is what the
    model itself may err; a clock whose rate changes bends the lag, and widens what is told of the line. ValueError
    where a lag or its deviation is not finite.
    """
    numbers = np.array([(lag.time_s, lag.lag_ms, lag.sigma_ms) for lag in lags], np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("the lag of a segment or its deviation is not finite; leave such segments out")
    times, values = numbers[:, 0] - at_s, numbers[:, 1]
    sigmas = np.clip(numbers[:, 2], LEAST_SIGMA_MS, _MOST_SIGMA_MS)
    span_s = float(np.ptp(times))
    with_drift = len(lags) >= _DRIFT_SEGMENTS and span_s >= _DRIFT_SPAN_S
    scale = _neighbour_scale(values, sigmas)
    jumps = find_jumps(times, values, sigmas * scale) if with_drift else ()
    line = fit_steps(times, values, sigmas * scale, jumps, with_drift)
    spread, freedom = _spread(line.weights * line.left**2, scale, len(line.parameters))
    covariance = student.ppf(_CONFIDENCE, freedom) ** 2 * spread * line.covariance
    here = int(np.searchsorted(jumps, np.searchsorted(times, 0), side="right")) if jumps else 0
    unsure_ms = float(np.hypot(floor_ms, _BEND_WIDTHS * _bend_ms(line)))
    drift = _drift(line, covariance, unsure_ms / span_s) if with_drift else (None, None)
    jump = _largest_jump(line, covariance, len(jumps), floor_ms) if jumps else (None, None)
    return Line(
        offset_ms=float(line.parameters[here]),
        offset_ci_ms=float(np.hypot(np.sqrt(covariance[here, here]), unsure_ms)),
        drift_ppm=drift[0],
        drift_ci_ppm=drift[1],
        jump_ms=jump[0],
        jump_ci_ms=jump[1],
        residual_ms=float(np.sqrt(np.average(line.left**2, weights=line.weights))),
    )


def _drift(line: SteppedLine, covariance: NDArray[np.float64], unsure_ms_per_s: float) -> tuple[float, float]:
    """Return drift and half width of its interval in ppm."""
    width = np.hypot(np.sqrt(covariance[-1, -1]), unsure_ms_per_s)
    return float(line.parameters[-1] * 1e3), float(width * 1e3)


def _largest_jump(
    line: SteppedLine, covariance: NDArray[np.float64], num_jumps: int, floor_ms: float
) -> tuple[float, float]:
    """Return the largest step between runs and half width of its interval in ms."""
    steps = np.diff(line.parameters[: num_jumps + 1])
    k = int(np.abs(steps).argmax())
    variance = covariance[k, k] + covariance[k + 1, k + 1] - 2 * covariance[k, k + 1]
    return float(steps[k]), float(np.hypot(np.sqrt(max(0.0, variance)), floor_ms))


def _bend_ms(line: SteppedLine) -> float:
    """Return the root mean square of what bends in the lags that are left, 0 where chance would show as much.

    Lags two segments apart share no samples, so that the mean of their product is what they have in common.
    """
    num = len(line.left)
    if num < _BEND_SEGMENTS:
        return 0.0
    weights = line.weights / line.weights.max()
    left = line.left * np.sqrt(weights)
    variance = np.mean(left**2)
    chance = 2 * variance / np.sqrt(num)  # two standard deviations of a mean of products of unrelated lags
    return float(np.sqrt(max(0.0, np.sum(left[2:] * left[:-2]) / num - chance) / np.mean(weights)))


def _neighbour_scale(values: NDArray[np.float64], sigmas: NDArray[np.float64]) -> float:
    """Return how much wider than stated neighbours scatter, at least 1; jumps and drift hardly touch it."""
    if len(values) < _DRIFT_SEGMENTS:
        return 1.0
    # Neighbours share half of their samples, so the variance of a difference is one variance, not two.
    steps = np.diff(values) / np.sqrt((sigmas[1:] ** 2 + sigmas[:-1] ** 2) / 2)
    return max(1.0, 1.4826 * float(np.median(np.abs(steps - np.median(steps)))))


def _spread(squares: NDArray[np.float64], scale: float, parameters: int) -> tuple[float, float]:
    """Return by how much to widen variances, and the degrees of freedom behind that.

    Half-overlapping segments hold about half as many independent lags as there are; the stated deviations count
    as a few lags more, so that few segments do not claim a certainty they cannot have.
    """
    num = len(squares)
    freedom = max(0.0, (num + 1) / 2 - parameters)
    seen = squares.sum() / max(num - parameters, 1)
    spread = (_PRIOR_FREEDOM * _PRIOR_SPREAD / scale**2 + freedom * seen) / (_PRIOR_FREEDOM + freedom)
    shared = 1 + (num - 1) / num
    return float(spread * shared), _PRIOR_FREEDOM + freedom
