"""The one interpolation kernel: a Kaiser-windowed sinc, flat to 0.8 and closed from 1.2 of its cutoff.

Weights of one output always sum to 1, so a constant passes unchanged. Positions are in rows of the input, a
float relative to a near row; origins are subtracted in int64 nanoseconds before.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["HALF_WIDTH", "dense_weights", "interpolate_rows", "reflect_rows"]

HALF_WIDTH = 12
"""Zero crossings on each side. A transition of 0.4 of the cutoff at 76 dB takes 11.9."""

_BETA = 0.1102 * (76.0 - 8.7)  # Kaiser's rule for 76 dB
_PHASES = 1024  # linear interpolation between phases errs by 4e-7
_CHUNK = 8192  # outputs per sparse product: bounds memory to a few MB whatever the length


def _windowed_sinc(crossings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate the kernel at float64[...] distances counted in zero crossings."""
    inside = np.clip(1 - (crossings / HALF_WIDTH) ** 2, 0, None)
    window = np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA)
    return np.where(inside > 0, np.sinc(crossings) * window, 0.0)


def dense_weights(positions: NDArray[np.float64], num_rows: int, scale: float) -> NDArray[np.float32]:
    """Return weights float32[P, num_rows] that interpolate at `positions` float64[P] of num_rows rows.

    `scale` is the cutoff as a share of the rows' own Nyquist frequency: 1 when the rate rises, the ratio
    when it falls.
    """
    weights = _windowed_sinc((positions[:, None] - np.arange(num_rows)) * scale)
    normalised: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


@cache
def _phase_table() -> NDArray[np.float32]:
    """Weights float32[phases + 1, 2 * HALF_WIDTH] for positions 0 … 1 past the tap HALF_WIDTH - 1."""
    return dense_weights(HALF_WIDTH - 1 + np.linspace(0, 1, _PHASES + 1), 2 * HALF_WIDTH, 1.0)


def reflect_rows(values: NDArray[np.float32], before: int, after: int) -> NDArray[np.float32]:
    """Extend float32[N, C] by point reflection about its end rows: keeps constants, lines and the DC level.

    Where fewer rows are there than asked for, the farthest reflected one repeats.
    """
    last = len(values) - 1
    head = 2 * values[0] - values[np.minimum(np.arange(before, 0, -1), last)]
    tail = 2 * values[last] - values[last - np.minimum(np.arange(1, after + 1), last)]
    return np.concatenate((head, values, tail))


def interpolate_rows(values: NDArray[np.float32], positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate float32[N, C] at `positions` float64[M] in rows, HALF_WIDTH outside at most."""
    padded = reflect_rows(values, 2 * HALF_WIDTH, 2 * HALF_WIDTH)
    out = np.empty((len(positions), values.shape[1]), np.float32)
    for start in range(0, len(positions), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = _sparse_weights(positions[part] + 2 * HALF_WIDTH, len(padded)) @ padded
    return out


def _sparse_weights(positions: NDArray[np.float64], num_rows: int) -> csr_array:
    """Return the weights as a sparse [M, num_rows] matrix with 2 * HALF_WIDTH entries in each row."""
    rows = np.floor(positions)
    phases = (positions - rows) * _PHASES
    lower = np.minimum(phases.astype(np.int64), _PHASES - 1)
    table = _phase_table()
    share = (phases - lower).astype(np.float32)[:, None]
    weights = table[lower] + share * (table[lower + 1] - table[lower])
    taps = np.arange(1 - HALF_WIDTH, HALF_WIDTH + 1, dtype=np.int32)
    columns = rows.astype(np.int32)[:, None] + taps
    bounds = np.arange(len(positions) + 1, dtype=np.int32) * weights.shape[1]
    return csr_array((weights.ravel(), columns.ravel(), bounds), shape=(len(positions), num_rows))
