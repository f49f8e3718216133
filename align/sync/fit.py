"""A line through the lags of segments, with steps where the offset jumps, and intervals that own up to doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from sensorloom.align.sync.segments import SegmentLag

__all__ = ["Line", "fit_line"]

_LEAST_RUN, _NEAR = 3, 4.0  # segments on either side of a jump, so many deviations from the line
_MOST_JUMPS = 3
_JUMP_GAIN = 36.0  # what a jump must take off the sum of squares, in variances: six standard deviations
_ABSOLUTE, _ROUNDS = 1e-2, 12  # below the former, deviations count by their size alone
_HUBER = 1.5  # standard deviations beyond which a lag counts less
_PRIOR_FREEDOM = 6.0  # segments' worth of trust in the stated deviations, and what is seen of their squares
_PRIOR_SPREAD = 0.45  # on generated motion: 0.2 where noise is low to 0.65 where it is high
_CONFIDENCE = 0.975
_DRIFT_SEGMENTS = 4
_DRIFT_SPAN_S = 25.0


@dataclass(frozen=True, slots=True)
class Line:
    """Offset at a given time and drift with half widths of 95 % intervals, largest jump, spread of what is left.

    Drift is None below four segments or where their middles span less than 25 s.
    """

    offset_ms: float
    offset_ci_ms: float
    drift_ppm: float | None
    drift_ci_ppm: float | None
    jump_ms: float | None
    residual_ms: float


def fit_line(lags: Sequence[SegmentLag], at_s: float, floor_ms: float) -> Line:
    """Fit offset at `at_s` and drift to lags of half-overlapping segments in order of time.

    Huber's weights by iteration (Huber 1964); a jump is accepted where it takes 36 variances off the sum of
    squares. `floor_ms` is what the model itself may err.
    """
    times = np.array([lag.time_s for lag in lags]) - at_s
    values = np.array([lag.lag_ms for lag in lags])
    sigmas = np.array([lag.sigma_ms for lag in lags])
    with_drift = len(lags) >= _DRIFT_SEGMENTS and float(np.ptp(times)) >= _DRIFT_SPAN_S
    scale = _neighbour_scale(values, sigmas)
    jumps = _find_jumps(times, values, sigmas * scale) if with_drift else ()
    design = _design(times, jumps, with_drift)
    weights, solution = _huber(design, values, sigmas * scale)
    covariance = np.linalg.inv(design.T @ (weights[:, None] * design))
    left = values - design @ solution
    spread, freedom = _spread(weights * left**2, scale, design.shape[1])
    width = student.ppf(_CONFIDENCE, freedom) * np.sqrt(spread * covariance.diagonal())
    here = int(np.searchsorted(jumps, np.searchsorted(times, 0), side="right")) if jumps else 0
    steps = np.diff(solution[: len(jumps) + 1])
    drift = (solution[-1] * 1e3, np.hypot(width[-1], floor_ms / np.ptp(times)) * 1e3) if with_drift else None
    return Line(
        float(solution[here]),
        float(np.hypot(width[here], floor_ms)),
        float(drift[0]) if drift else None,
        float(drift[1]) if drift else None,
        float(steps[np.abs(steps).argmax()]) if jumps else None,
        float(np.sqrt(np.average(left**2, weights=weights))),
    )


def _neighbour_scale(values: NDArray[np.float64], sigmas: NDArray[np.float64]) -> float:
    """Return how much wider than stated neighbours scatter, at least 1; jumps and drift hardly touch it."""
    if len(values) < _DRIFT_SEGMENTS:
        return 1.0
    # Neighbours share half of their samples, so the variance of a difference is one variance, not two.
    steps = np.diff(values) / np.sqrt((sigmas[1:] ** 2 + sigmas[:-1] ** 2) / 2)
    return max(1.0, 1.4826 * float(np.median(np.abs(steps - np.median(steps)))))


def _design(times: NDArray[np.float64], jumps: Sequence[int], with_drift: bool) -> NDArray[np.float64]:
    """Return float64[S, runs (+ 1)]: one level per run between jumps, and time in s."""
    run = np.searchsorted(jumps, np.arange(len(times)), side="right") if len(jumps) else np.zeros(len(times))
    levels = (run[:, None] == np.arange(len(jumps) + 1)).astype(np.float64)
    return np.column_stack((levels, times)) if with_drift else levels


def _huber(
    design: NDArray[np.float64], values: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights and solution of a robust fit, begun at the least absolute deviations."""
    weights: NDArray[np.float64] = 1 / sigmas**2
    for step in range(2 * _ROUNDS):
        weighted = design.T * weights
        solution = np.linalg.solve(weighted @ design, weighted @ values)
        far = np.abs(values - design @ solution) / sigmas
        bound = _ABSOLUTE if step < _ROUNDS else _HUBER
        weights = np.minimum(1, bound / np.maximum(far, bound)) / sigmas**2
    return weights, np.asarray(solution, np.float64)


def _find_jumps(
    times: NDArray[np.float64], values: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> tuple[int, ...]:
    """Return the indices of segments that begin after a jump, the most telling one first found."""
    jumps: tuple[int, ...] = ()
    cost = _cost(times, values, sigmas, jumps)
    while len(jumps) < _MOST_JUMPS and cost > _JUMP_GAIN:
        tries = [
            tuple(sorted((*jumps, k)))
            for k in range(_LEAST_RUN, len(times) - _LEAST_RUN + 1)
            if all(abs(k - jump) >= _LEAST_RUN for jump in jumps)
        ]
        if not tries:
            break
        costs = [_cost(times, values, sigmas, trial) for trial in tries]
        best = int(np.argmin(costs))
        if cost - costs[best] < _JUMP_GAIN:
            break
        jumps, cost = tries[best], costs[best]
    return jumps


def _cost(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    jumps: tuple[int, ...],
) -> float:
    """Return Huber's loss of the best fit with `jumps`, in variances; half of it, as neighbours share samples."""
    design = _design(times, jumps, with_drift=True)
    _, solution = _huber(design, values, sigmas)
    far = np.abs(values - design @ solution) / sigmas
    if jumps and design[far < _NEAR, : len(jumps) + 1].sum(axis=0).min() < _LEAST_RUN:
        return float("inf")  # outliers that one lag of the neighbouring stretch completes to a run
    return float(np.where(far < _HUBER, far**2, 2 * _HUBER * far - _HUBER**2).sum() / 2)


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
