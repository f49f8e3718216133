"""What one IMU shows of motion: signals that an estimate of offset and drift compares with another stream.

A value stands for the middle of the time that it is a mean over, so that nothing here moves anything in time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sensorloom.align.sync.signal import MotionSignal
from sensorloom.align.sync.strapdown import GRAVITY_M_S2, level_acceleration
from sensorloom.align.timeline import GRID_STEP_NS, Grid, ImuTrack, Quality
from sensorloom.ingest.take import NS_PER_S

__all__ = [
    "gravity_change",
    "gyroscope",
    "impacts",
    "rotation_speed",
    "smooth_acceleration",
    "turned_gravity",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_GYROSCOPE = 1
_ROWS = 4
_STEP_NS = _ROWS * GRID_STEP_NS
"""20 ms, as slow as a phone samples: of what is compared below nothing is faster."""
_TURN_S = 0.2
"""Standard deviation of the smoothing under which a changing force is gravity that turns, and not a push."""
_GRAVITY_S = 1.0
_PUSH_M_S2 = 1.5
"""Root mean square of what a force is beside gravity, above which its changes say nothing of how the sensor turns: a
real walk at the shin is beyond it for all but 3 % of the time, and would be told a tenth of a second late."""
_LEAST_WEIGHT = 0.99
_SUDDEN_S = 0.1
"""Standard deviation of the smoothing that an impact is gone from, and what limbs do between impacts is not."""


def gyroscope(track: ImuTrack, grid: Grid) -> MotionSignal:
    """Return the gyroscope of a track [T, 3] as it is, in rad/s every 5 ms."""
    return _turning(track, grid, np.ascontiguousarray(track.values[:, 3:]))


def rotation_speed(track: ImuTrack, grid: Grid) -> MotionSignal:
    """Return how fast a track turns [T, 1], about whatever axis, in rad/s every 5 ms."""
    return _turning(track, grid, np.linalg.norm(track.values[:, 3:], axis=1, keepdims=True))


def impacts(track: ImuTrack, grid: Grid) -> MotionSignal:
    """Return what is sudden in the upward acceleration of a track [N, 1], in m/s² every 20 ms.

    A foot that strikes pushes every part of a body up, however each is turned and whatever else it does; the bones
    carry that from shin to head in about 10 ms (Shorten & Winslow, Int. J. Sport Biomechanics 8, 1992).
    """
    (force, turn), valid = _thinned(track)
    up = level_acceleration(force, turn, valid, _STEP_NS / NS_PER_S)[:, 2:]
    slow, held = _smooth(up, valid, _SUDDEN_S * NS_PER_S / _STEP_NS)
    return _thin_signal(f"{track.position}/accelerometer", grid, up - slow, held)


def smooth_acceleration(track: ImuTrack, grid: Grid, reach_ns: int) -> MotionSignal:
    """Return acceleration [N, 3] without gravity in a frame that stands still, in m/s² every 20 ms.

    It is smoothed as a second difference of places `reach_ns` apart smooths it: by two means over that time.
    """
    (force, turn), valid = _thinned(track)
    level = level_acceleration(force, turn, valid, _STEP_NS / NS_PER_S)
    size = reach_ns // _STEP_NS
    for origin in (0, size % 2 - 1):  # of an even size once towards either side: both together are centred
        level = ndimage.uniform_filter1d(level, size, axis=0, mode="nearest", origin=origin)
    held = ndimage.binary_erosion(valid, np.ones(2 * size - 1), border_value=1)
    return _thin_signal(f"{track.position}/accelerometer", grid, level, held)


def gravity_change(track: ImuTrack, grid: Grid) -> MotionSignal:
    """Return how fast the smoothed accelerometer changes [N, 3], in m/s³ every 20 ms, where forces are gravity's."""
    (force, _), valid = _thinned(track)
    smooth, held = _smooth(force, valid, _TURN_S * NS_PER_S / _STEP_NS)
    held &= _is_gentle(force, valid)
    change = np.gradient(smooth, _STEP_NS / NS_PER_S, axis=0) if len(smooth) > 1 else smooth
    held = ndimage.binary_erosion(held, np.ones(3), border_value=1)
    return _thin_signal(f"{track.position}/accelerometer", grid, change, held)


def turned_gravity(track: ImuTrack, grid: Grid) -> MotionSignal:
    """Return how fast gravity changes by the gyroscope [N, 3], in m/s³ every 20 ms.

    What is fixed in space moves against the sensor, dg/dt = g × ω, g being the mean force over some seconds.
    """
    (force, turn), valid = _thinned(track)
    gravity, _ = _smooth(force, valid, _GRAVITY_S * NS_PER_S / _STEP_NS)
    slow_turn, held = _smooth(turn, valid, _TURN_S * NS_PER_S / _STEP_NS)
    return _thin_signal(f"{track.position}/gyroscope", grid, np.cross(gravity, slow_turn), held)


def _is_gentle(force: Floats, valid: Mask) -> Mask:
    """Tell bool[N] where force [N, 3] is gravity's: a leg that walks is pushed in time with how it turns."""
    excess = np.where(valid, np.linalg.norm(force, axis=1) - GRAVITY_M_S2, 0.0)[:, None]
    power, _ = _smooth(excess**2, valid, _TURN_S * NS_PER_S / _STEP_NS)
    gentle: Mask = power[:, 0] < _PUSH_M_S2**2
    return gentle


def _turning(track: ImuTrack, grid: Grid, values: NDArray[np.float32]) -> MotionSignal:
    valid = track.quality[:, _GYROSCOPE] != Quality.INVALID
    return MotionSignal(f"{track.position}/gyroscope", grid.start_ns, GRID_STEP_NS, values, valid)


def _thin_signal(name: str, grid: Grid, values: Floats, valid: Mask) -> MotionSignal:
    middle_ns = grid.start_ns + (_STEP_NS - GRID_STEP_NS) // 2
    return MotionSignal(name, middle_ns, _STEP_NS, values.astype(np.float32), valid)


def _thinned(track: ImuTrack) -> tuple[tuple[Floats, Floats], Mask]:
    """Return force and turn rate [N, 3] every 20 ms, and where both sensors are there throughout."""
    count = len(track.values) // _ROWS
    values = track.values[: count * _ROWS].reshape(count, _ROWS, 6).mean(axis=1, dtype=np.float64)
    valid = (track.quality[: count * _ROWS] != Quality.INVALID).reshape(count, 2 * _ROWS).all(axis=1)
    values[~valid] = 0.0
    return (values[:, :3], values[:, 3:]), valid


def _smooth(values: Floats, valid: Mask, sigma: float) -> tuple[Floats, Mask]:
    """Return values [N, C] smoothed by a Gaussian of `sigma` rows, and where nothing of weight was missing from it."""
    weight = ndimage.gaussian_filter1d(valid.astype(np.float64), sigma, mode="constant")
    smooth = ndimage.gaussian_filter1d(values, sigma, axis=0, mode="constant")
    return smooth / np.maximum(weight, 1e-9)[:, None], valid & (weight > _LEAST_WEIGHT)
