"""What rate a signal on the 200 Hz grid was recorded at, from the signal alone.

Two marks are looked for. Band-limited interpolation leaves nothing above half the recorded rate: a cliff in the
spectrum, where a sensor's own filter leaves a slope and its noise a floor. Interpolation by lines, or by held values,
leaves corners at the recorded instants, and energy of the second difference that beats at the recorded rate.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal.windows import blackmanharris

from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_RATE_HZ

__all__ = ["recorded_rate_hz"]

_SEGMENT = 1024  # samples, 5.12 s
_MOST_SEGMENTS = 64
_LEAST_SEGMENTS = 3
_SMOOTHING = 9  # bins of 0.2 Hz
_LEAST_FOOT_HZ, _MOST_FOOT_HZ = 8.0, 77.0
_WHOLE_HZ = 80.0  # up to where the grid's own filter leaves a signal whole
_CLIFF = 3.0  # decades of power over a third of an octave: 80 dB an octave, and no sensor's own filter has 40
_HALF = 0.6  # decades of power: half the amplitude
_BEAT = 0.55  # of the energy; a vibration of one frequency reaches 0.5, noise 0.1
_BEAT_SAMPLES = 1000  # whole periods of the usual rates
_LEAST_BEAT_HZ = 15.0  # steps and strokes beat below
_AROUND = 41  # samples
_LEAST_ENERGY = 1e-12  # (m/s²)² or (rad/s)²: rounding of float32 leaves as much


def recorded_rate_hz(values: NDArray[np.float32], sound: NDArray[np.bool_]) -> float | None:
    """Return the rate at which `values` float32[T, 3] on the grid were recorded, None where no mark tells of one.

    Only stretches of `sound` bool[T] samples of 5 s and longer are looked at, up to 64 of them spread over the take.
    """
    segments = _segments(values, sound)
    if len(segments) < _LEAST_SEGMENTS:
        return None
    edge = _edge_hz(segments)
    return 2 * edge if edge is not None else _beat_hz(segments)


def _segments(values: NDArray[np.float32], sound: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return float64[K, 1024, 3], segments of sound samples without their mean."""
    starts = [
        np.arange(first, last - _SEGMENT + 1, _SEGMENT // 2)
        for first, last in zip(*find_runs(sound), strict=True)
        if last - first >= _SEGMENT
    ]
    if not starts:
        return np.empty((0, _SEGMENT, values.shape[1]))
    every = np.concatenate(starts)
    chosen = every[np.linspace(0, len(every) - 1, min(len(every), _MOST_SEGMENTS)).astype(int)]
    segments = np.stack([values[start : start + _SEGMENT] for start in chosen]).astype(np.float64)
    segments -= segments.mean(axis=1, keepdims=True)
    return segments


def _edge_hz(segments: NDArray[np.float64]) -> float | None:
    """Return the frequency of a cliff beyond which there is nothing, or None."""
    # Side lobes of -92 dB: motion at 1 Hz is 60 to 70 dB above a sensor's noise.
    window = blackmanharris(_SEGMENT)[:, None]
    power = (np.abs(np.fft.rfft(segments * window, axis=1)) ** 2).sum(axis=2)
    level = np.log10(np.median(power, axis=0) + 1e-30)
    level = np.median(sliding_window_view(np.pad(level, _SMOOTHING // 2, "edge"), _SMOOTHING), axis=1)
    hz = np.arange(len(level)) * GRID_RATE_HZ / _SEGMENT
    feet = np.flatnonzero((hz >= _LEAST_FOOT_HZ) & (hz <= _MOST_FOOT_HZ))
    band = hz <= _WHOLE_HZ
    beyond = np.maximum.accumulate(np.where(band, level, -np.inf)[::-1])[::-1]
    # Between tones one sees the noise: it is this that has to end.
    before = np.array([np.quantile(level[int(0.4 * foot) : int(0.75 * foot) + 1], 0.1) for foot in feet])
    cliffs = np.flatnonzero(before - beyond[feet] >= _CLIFF)
    if len(cliffs) == 0:
        return None
    # A filter without delay is at half its amplitude in the middle of its slope, which is at half the rate.
    slope = level[: feet[cliffs[0]]] > before[cliffs[0]] - _HALF
    return float(hz[np.flatnonzero(slope)[-1]])


def _beat_hz(segments: NDArray[np.float64]) -> float | None:
    """Return the lowest frequency at which the energy of the first or second difference beats, or None."""
    beats = [
        beat for beat in (_beat_of(np.diff(segments, order, axis=1)) for order in (1, 2)) if beat is not None
    ]
    return min(beats, default=None)


def _beat_of(change: NDArray[np.float64]) -> float | None:
    energy = (change[:, :_BEAT_SAMPLES] ** 2).sum(axis=2)
    usual = uniform_filter1d(energy, _AROUND, axis=1, mode="nearest")
    moving = usual.mean(axis=1) > _LEAST_ENERGY
    if moving.sum() < _LEAST_SEGMENTS:
        return None
    # A blow has as much energy as seconds of motion: against its surroundings it counts as one of many.
    even = np.clip(energy[moving] / np.maximum(usual[moving], _LEAST_ENERGY), 0, 4)
    beats = np.abs(np.fft.rfft(even, axis=1)) / np.maximum(even.sum(axis=1, keepdims=True), 1)
    strength = np.median(beats, axis=0)
    hz = np.arange(len(strength)) * GRID_RATE_HZ / even.shape[1]
    found = np.flatnonzero((strength >= _BEAT) & (hz >= _LEAST_BEAT_HZ))
    return float(hz[found[0]]) if len(found) else None
