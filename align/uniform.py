"""Irregular stamps to a uniform lattice at about their own rate, by the true time of each sample.

The road is chosen by one number per segment, a function of the stamps alone, so that each is linear in the
values: the jitter, as a share of the interval.

- Mild (Aria's 938 … 1062 µs, a steady 49.95 Hz, slow drift): band-limited interpolation in the sample index
  at the true times, then corrections that feed back what the lattice fails to give at the recorded stamps.
  A sine below 0.8 of the Nyquist frequency keeps 0.1 % without jitter, and 1 % (rms) at a jitter of 6 %
  when it lies close to that bound.
- Heavy (REALWORLD's, stamped on delivery): linear interpolation between true times, which no spacing can
  upset. Its mean response is sinc²(f / rate): 0.97 at 0.2 of the Nyquist frequency, 0.87 at 0.4, 0.57 at
  0.8.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.kernel import interpolate_rows
from sensorloom.align.lattice import Lattice
from sensorloom.align.timeline import GRID_STEP_NS

__all__ = ["MILD_JITTER", "linear_at", "measure_jitter", "to_lattice"]

MILD_JITTER = 0.2
"""Up to this share of the interval the corrections converge; above it they amplify noise."""

_QUANTUM_NS = GRID_STEP_NS // 20  # lattice steps are multiples, so that their phases repeat against the grid
_PASS_BAND = 0.4  # cycles per sample up to which the result must hold
_TOLERANCE = 1e-3
_MAX_CORRECTIONS = 4


def measure_jitter(times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return float64[N], how far each stamp int64[N] lies off even spacing, in mean intervals."""
    interval = (times_ns[-1] - times_ns[0]) / (len(times_ns) - 1)
    bend = np.abs(times_ns[2:] - 2 * times_ns[1:-1] + times_ns[:-2])
    return np.pad(bend / (4 * interval), 1)


def linear_at(
    times_ns: NDArray[np.int64], values: NDArray[np.float32], at_ns: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Interpolate float32[N, C] linearly between its stamps at `at_ns` int64[M]; end values hold beyond."""
    left = np.clip(np.searchsorted(times_ns, at_ns, side="right") - 1, 0, max(0, len(times_ns) - 2))
    right = np.minimum(left + 1, len(times_ns) - 1)
    span = np.maximum(times_ns[right] - times_ns[left], 1)
    share = np.clip((at_ns - times_ns[left]) / span, 0.0, 1.0).astype(np.float32)[:, None]
    result: NDArray[np.float32] = values[left] * (1 - share) + values[right] * share
    return result


def to_lattice(
    times_ns: NDArray[np.int64], values: NDArray[np.float32]
) -> tuple[Lattice, NDArray[np.float32]]:
    """Estimate float32[M, C] on a lattice from float32[N, C] at increasing stamps int64[N], at least two.

    The lattice starts at or before the first stamp, on an instant of the 200 Hz grid, ends at or after the
    last, and is at least as dense as the stamps on average.
    """
    interval = (times_ns[-1] - times_ns[0]) / (len(times_ns) - 1)
    step = max(_QUANTUM_NS, int(interval) // _QUANTUM_NS * _QUANTUM_NS)
    origin = int(times_ns[0]) // GRID_STEP_NS * GRID_STEP_NS
    count = -((origin - int(times_ns[-1])) // step) + 1
    lattice = Lattice(origin, step)
    at_ns = origin + step * np.arange(count)
    jitter = measure_jitter(times_ns)
    usual_jitter = float(np.percentile(jitter, 99))
    if usual_jitter > MILD_JITTER:
        return lattice, linear_at(times_ns, values, at_ns)
    index = _fractional_index(times_ns, at_ns)
    estimate = interpolate_rows(values, index)
    position = (times_ns - origin) / step
    trusted = (jitter <= MILD_JITTER).astype(np.float32)[:, None]
    for _ in range(_num_corrections(usual_jitter, interval)):
        residual = (values - interpolate_rows(estimate, position)) * trusted
        estimate += interpolate_rows(residual, index)
    return lattice, estimate


def _fractional_index(times_ns: NDArray[np.int64], at_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sample index float64[M] that stamps int64[N] pass at `at_ns`, continued beyond the ends."""
    origin, last = times_ns[0], len(times_ns) - 1
    index = np.interp(at_ns - origin, times_ns - origin, np.arange(last + 1))
    before, after = at_ns < origin, at_ns > times_ns[-1]
    index[before] = (at_ns[before] - origin) / (times_ns[1] - origin)
    index[after] = last + (at_ns[after] - times_ns[-1]) / (times_ns[-1] - times_ns[-2])
    inside: NDArray[np.float64] = np.clip(index, -8.0, last + 8.0)
    return inside


def _num_corrections(jitter: float, interval_ns: float) -> int:
    """Return how many corrections bring the error of `jitter` below the tolerance, over the grid's band."""
    band = _PASS_BAND * min(1.0, interval_ns / GRID_STEP_NS)
    contraction = 2 * math.pi * band * jitter
    if contraction < _TOLERANCE:
        return 0
    return min(_MAX_CORRECTIONS, math.ceil(math.log(_TOLERANCE) / math.log(min(contraction, 0.5))))
