"""A robust line with steps: levels of the runs between jumps, one common slope, and where lags jump."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["SteppedLine", "find_jumps", "fit_steps"]

_LEAST_RUN, _NEAR = 3, 4.0  # segments on either side of a jump, so many deviations from their median
_MOST_JUMPS, _MOST_TRIES = 3, 48
_JUMP_GAIN = 36.0  # what a jump must take off the sum of squares, in variances: six standard deviations
_LEAST_CONTRAST = 4.0  # deviations between the medians on both sides of where a jump is tried
_LOCAL = 0.5  # of a step that neighbours must show by themselves: else the lag only bends
_ABSOLUTE, _ROUNDS = 1e-2, 12  # below the former, deviations count by their size alone
_HUBER = 1.5  # standard deviations beyond which a lag counts less


@dataclass(frozen=True, slots=True)
class SteppedLine:
    """Parameters float64[P] in ms, one level per run and then perhaps a slope in ms/s, and how they came about.

    `design` float64[S, P], `weights` float64[S] of lags, `left` float64[S] of them in ms, `covariance` float64[P, P].
    """

    design: NDArray[np.float64]
    weights: NDArray[np.float64]
    parameters: NDArray[np.float64]
    covariance: NDArray[np.float64]
    left: NDArray[np.float64]


def fit_steps(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    jumps: Sequence[int],
    with_drift: bool,
) -> SteppedLine:
    """Fit `values` (ms, deviations `sigmas`) at `times` (s) by Huber's weights, begun at least absolute deviations."""
    run = np.searchsorted(jumps, np.arange(len(times)), side="right") if len(jumps) else np.zeros(len(times))
    design = (run[:, None] == np.arange(len(jumps) + 1)).astype(np.float64)
    design = np.column_stack((design, times)) if with_drift else design
    size = np.sqrt((design**2).mean(axis=0))
    size[size == 0] = 1.0
    scaled, weights = design / size, 1 / sigmas**2
    for step in range(2 * _ROUNDS):
        weighted = scaled.T * (weights / weights.max())
        solution = np.linalg.pinv(weighted @ scaled, hermitian=True) @ (weighted @ values)
        left = values - scaled @ solution
        far = np.abs(left) / sigmas
        bound = _ABSOLUTE if step < _ROUNDS else _HUBER
        weights = np.minimum(1, bound / np.maximum(far, bound)) / sigmas**2
    weighted = scaled.T * (weights / weights.max())
    covariance = np.linalg.pinv(weighted @ scaled, hermitian=True) / weights.max() / np.outer(size, size)
    return SteppedLine(design, weights, solution / size, covariance, left)


def find_jumps(
    times: NDArray[np.float64], values: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> tuple[int, ...]:
    """Return the indices of segments that begin after a jump.

    A jump is tried where the medians of three neighbours on either side differ by four deviations, taken where it
    takes 36 variances off the sum of squares, the most telling one first, and believed where those medians show half
    of it: a clock whose rate changes slowly bends the lag, and a step would fit that too.
    """
    level = values - np.median(np.diff(values) / np.diff(times)) * times
    contrast = _contrast(level)
    telling = np.abs(contrast) / (_LEAST_CONTRAST * _noise_around(sigmas))
    tries = [int(k) for k in np.argsort(-telling)[:_MOST_TRIES] if telling[k] > 1]
    jumps: tuple[int, ...] = ()
    cost = _cost(times, values, sigmas, jumps)
    while len(jumps) < _MOST_JUMPS and cost > _JUMP_GAIN:
        trials = [tuple(sorted((*jumps, k))) for k in tries if _is_apart(k, jumps)]
        sound = [trial for trial in trials if _holds_runs(level, sigmas, trial)]
        best = min(((_cost(times, values, sigmas, trial), trial) for trial in sound), default=(cost, ()))
        if cost - best[0] < _JUMP_GAIN:
            break
        cost, jumps = best
    while jumps:
        steps = np.diff(fit_steps(times, values, sigmas, jumps, True).parameters[:-1])
        shown = contrast[list(jumps)] / np.where(steps == 0, np.inf, steps)
        if shown.min() >= _LOCAL:
            break
        jumps = tuple(np.delete(jumps, shown.argmin()).tolist())
    return jumps


def _is_apart(place: int, jumps: Sequence[int]) -> bool:
    return all(abs(place - jump) >= _LEAST_RUN for jump in jumps)


def _holds_runs(level: NDArray[np.float64], sigmas: NDArray[np.float64], jumps: tuple[int, ...]) -> bool:
    """Tell whether in each run enough lags agree: outliers and one lag of the neighbouring stretch are no run."""
    for run, noise in zip(np.split(level, jumps), np.split(sigmas, jumps), strict=True):
        middle = np.sort(run)[(len(run) - 1) // 2]
        if (np.abs(run - middle) < _NEAR * noise).sum() < _LEAST_RUN:
            return False
    return True


def _contrast(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[S]: the median of the three levels from each on, less that of the three before."""
    contrast = np.zeros(len(level))
    if len(level) >= 2 * _LEAST_RUN:
        medians = np.median(sliding_window_view(level, _LEAST_RUN), axis=1)
        contrast[_LEAST_RUN : len(level) - _LEAST_RUN + 1] = medians[_LEAST_RUN:] - medians[:-_LEAST_RUN]
    return contrast


def _noise_around(sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[S]: the median deviation of the lags that a contrast is made of."""
    padded = np.pad(sigmas, (_LEAST_RUN, _LEAST_RUN - 1), mode="edge")
    noise: NDArray[np.float64] = np.median(sliding_window_view(padded, 2 * _LEAST_RUN), axis=1)
    return noise


def _cost(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    jumps: tuple[int, ...],
) -> float:
    """Return Huber's loss of the best fit with `jumps`, in variances; half of it, as neighbours share samples."""
    line = fit_steps(times, values, sigmas, jumps, with_drift=True)
    far = np.abs(line.left) / sigmas
    return float(np.where(far < _HUBER, far**2, 2 * _HUBER * far - _HUBER**2).sum() / 2)
