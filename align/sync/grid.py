"""Two motion signals on grids that fit together: samples of the coarser, and the finer one between them.

The coarser signal (the anchor) keeps its own samples, down to one every 20 ms; the finer one (the probe) is
smoothed to what the anchor carries and laid on a lattice that divides the anchor's step, so that a lag is a whole
number of lattice steps and nothing of the coarser signal is made up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, map_coordinates, uniform_filter1d

from sensorloom.align.sync.signal import MotionSignal

__all__ = ["Grid", "Track", "lay_on_grid", "middle_ns"]

_TRACK_NS = 20_000_000  # human motion ends well below 25 Hz: finer samples cost time and tell nothing
_LATTICE_NS = 10_000_000
_SMOOTH_NS = 12_000_000
_SMOOTH_STEPS = 0.35  # of the anchor's step: the probe keeps half of what is at the anchor's Nyquist rate
_TREND_NS = 500_000_000
_LOUDNESS_NS = 1_000_000_000
_QUIET = 0.05  # of the mean power: quieter stretches stay quiet
_LEAST_WEIGHT = 0.75
_SPLINE_REACH = 2  # samples beyond the two neighbours: a missing one there moves a cubic spline by under 2 %


@dataclass(frozen=True, slots=True)
class Track:
    """Motion float64[N, C] without trend every `step_ns` from `start_ns` on, 0 where not `valid` bool[N]."""

    start_ns: float
    step_ns: int
    values: NDArray[np.float64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grid:
    """An anchor track, and a probe float64[M, Cb] with `probe_valid` bool[M] on the lattice.

    Sample k of the anchor lies at lattice index `origin + k * per_step`, which may be outside of the probe. The
    probe was stretched about `pivot_ns`: lattice time t shows what was stamped t + `stretch` * (t - `pivot_ns`).
    """

    anchor: Track
    probe: NDArray[np.float64]
    probe_valid: NDArray[np.bool_]
    origin: int
    per_step: int
    stretch: float
    pivot_ns: int

    @property
    def lattice_ms(self) -> float:
        """Return one lattice step in ms."""
        return self.anchor.step_ns / self.per_step / 1e6


def lay_on_grid(anchor: MotionSignal, probe: MotionSignal, stretch: float = 0.0) -> Grid:
    """Return both signals on fitting grids, the probe stretched by `stretch` (a drift, as a share)."""
    pivot = middle_ns(anchor, probe)
    coarse = _thin(anchor, 0)
    fine = _thin(probe, _SMOOTH_STEPS * coarse.step_ns)
    per_step = max(1, round(coarse.step_ns / _LATTICE_NS))
    lattice = coarse.step_ns / per_step
    ends = fine.start_ns + np.array((0, len(fine.values) - 1)) * fine.step_ns
    shown = (pivot + (ends - pivot) / (1 + stretch) - coarse.start_ns) / lattice
    first, last = int(np.ceil(shown[0])), int(np.floor(shown[1]))
    times = coarse.start_ns + np.arange(first, last + 1) * lattice
    recorded = times + stretch * (times - pivot)
    values, valid = _interpolate(fine, (recorded - fine.start_ns) / fine.step_ns)
    return Grid(coarse, values, valid, -first, per_step, stretch, pivot)


def middle_ns(first: MotionSignal, second: MotionSignal) -> int:
    """Return the middle of what both signals cover."""
    return (max(first.start_ns, second.start_ns) + min(first.stop_ns, second.stop_ns)) // 2


def _thin(signal: MotionSignal, smooth_ns: float) -> Track:
    """Return the signal without trend, smoothed by at least `smooth_ns`, at no more than 50 samples a second."""
    per_sample = max(1, _TRACK_NS // signal.step_ns)
    smooth = max(smooth_ns, _SMOOTH_NS if per_sample > 1 else 0)
    sigma, count = smooth / signal.step_ns, len(signal.valid) // per_sample
    weight = _means(_smooth(signal.valid.astype(np.float64), sigma), count, per_sample)
    values = np.empty((count, signal.values.shape[1]))
    for place, channel in enumerate(signal.values.T):  # one at a time: half a day at 200 Hz is 70 MB each
        line = np.where(signal.valid, channel, 0).astype(np.float64)
        # Sums of three neighbours of a large constant (gravity) would cost the filters their accuracy.
        line -= np.where(signal.valid, line.sum() / max(signal.valid.sum(), 1), 0)
        values[:, place] = _means(_smooth(line, sigma), count, per_sample)
    step = signal.step_ns * per_sample
    trend, trend_weight = _smooth(values, _TREND_NS / step), _smooth(weight, _TREND_NS / step)
    valid = weight > _LEAST_WEIGHT
    values = values / np.maximum(weight, 1e-6)[:, None] - trend / np.maximum(trend_weight, 1e-6)[:, None]
    values[~valid] = 0
    start = signal.start_ns + (per_sample - 1) * signal.step_ns / 2
    return Track(start, step, _even_out(values, valid, _LOUDNESS_NS / step), valid)


def _even_out(values: NDArray[np.float64], valid: NDArray[np.bool_], sigma: float) -> NDArray[np.float64]:
    """Divide by the running loudness, so that one violent moment does not speak for its whole segment."""
    power = (values**2).sum(axis=1)
    usual = power.sum() / max(valid.sum(), 1)
    power, weight = _smooth(power, sigma), _smooth(valid.astype(np.float64), sigma)
    loudness = np.sqrt(power / np.maximum(weight, 1e-6) + _QUIET * usual)[:, None]
    evened: NDArray[np.float64] = np.divide(values, loudness, out=np.zeros_like(values), where=loudness > 0)
    return evened


def _smooth(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Smooth by three boxes, near to a Gaussian of `sigma` samples; beyond the ends nothing is known."""
    size = round(np.sqrt(4 * sigma**2 + 1)) | 1
    for _ in range(3 if size > 1 else 0):
        values = uniform_filter1d(values, size, axis=0, mode="constant")
    return values


def _means(values: NDArray[np.float64], count: int, size: int) -> NDArray[np.float64]:
    means: NDArray[np.float64] = values[: count * size].reshape(count, size).mean(axis=1)
    return means


def _interpolate(track: Track, at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return values and validity at fractional indices `at`, all inside, by a cubic spline.

    Nothing within two samples of a gap is valid: the spline would bend towards the zeros in it.
    """
    far = binary_erosion(track.valid, np.ones(2 * _SPLINE_REACH + 1), border_value=1)
    below = np.minimum(at.astype(np.int64), len(track.values) - 2)
    valid = far[below] & far[below + 1]
    values = np.stack(
        [map_coordinates(channel, at[None], order=3, mode="mirror") for channel in track.values.T], axis=1
    )
    values[~valid] = 0
    return values, valid
