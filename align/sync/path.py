"""The likeliest course of a lag over segments: slow drift is cheap, a jump is dear, nothing else is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["JUMP_COST", "follow"]

JUMP_COST = 16.0  # nats: what the evidence for a jump must outweigh
_CEILING = 10.0  # nats: the most one segment can say, so that one alone cannot buy two jumps
_DRIFT_COST = 0.5  # nats for one lag step between neighbouring segments
_REACH = 2  # lag steps between neighbouring segments that drift explains


def follow(evidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the course int64[S] through evidence [S, L] (nats).

    Viterbi's algorithm: a step of up to two lags costs little, any other one `JUMP_COST`. Evidence is what goes
    beyond chance.
    """
    gain = _CEILING * -np.expm1(-evidence / _CEILING)
    num, lags = gain.shape
    back = np.zeros((num, lags), np.int64)
    score = gain[0].copy()
    for row in range(1, num):
        best = np.full(lags, score.max() - JUMP_COST)
        back[row] = score.argmax()
        for shift in range(-_REACH, _REACH + 1):
            moved = np.full(lags, -np.inf)
            to, source = (
                slice(max(shift, 0), lags + min(shift, 0)),
                slice(max(-shift, 0), lags + min(-shift, 0)),
            )
            moved[to] = score[source] - _DRIFT_COST * abs(shift)
            better = moved > best
            best[better] = moved[better]
            back[row][better] = np.flatnonzero(better) - shift
        score = best + gain[row]
    course = np.empty(num, np.int64)
    course[-1] = score.argmax()
    for row in range(num - 1, 0, -1):
        course[row - 1] = back[row, course[row]]
    return course
