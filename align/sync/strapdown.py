"""Acceleration in a frame that stands still, from an IMU alone: integrate the gyroscope, level by gravity.

The heading has no reference and follows the gyroscope's bias, by some degrees a minute: slowly enough for a comparison
of axes in an unknown rotation, segment by segment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["GRAVITY_M_S2", "level_acceleration"]

Floats = NDArray[np.float64]

GRAVITY_M_S2 = 9.80665
_LEVEL_S = 2.0
"""Standard deviation of the window over which the mean force is taken for gravity."""


def level_acceleration(force: Floats, turn: Floats, valid: NDArray[np.bool_], step_s: float) -> Floats:
    """Return acceleration [N, 3] without gravity, m/s², its last axis up, of force [N, 3] and turn rate [N, 3] rad/s.

    Both are on the sensor's axes every `step_s`; where not `valid` nothing turns and no force is looked at.
    """
    attitude = _attitudes(np.where(valid[:, None], turn, 0.0) * step_s)
    still = _rotate(attitude, np.where(valid[:, None], force, 0.0))
    reach = _LEVEL_S / step_s
    weight = ndimage.gaussian_filter1d(valid.astype(np.float64), reach, mode="constant")
    up = ndimage.gaussian_filter1d(still, reach, axis=0, mode="constant") / np.maximum(weight, 1e-9)[:, None]
    up /= np.maximum(np.linalg.norm(up, axis=1), 1e-9)[:, None]
    level = _rotate(_upright(up), still)
    level[:, 2] -= GRAVITY_M_S2
    level[~valid] = 0.0
    return level


def _attitudes(steps_rad: Floats) -> Floats:
    """Return quaternions w x y z [N, 4] from the sensor's axes to those it had first, of small turns [N, 3].

    Products of all turns so far by doubling (Hillis & Steele, CACM 29, 1986): no loop over samples.
    """
    angle = np.linalg.norm(steps_rad, axis=1)
    half_sinc = 0.5 * np.sinc(angle / (2 * np.pi))
    total = np.concatenate([np.cos(angle / 2)[:, None], steps_rad * half_sinc[:, None]], axis=1)
    reach = 1
    while reach < len(total):
        total[reach:] = _times(total[:-reach], total[reach:])
        reach *= 2
    total /= np.linalg.norm(total, axis=1)[:, None]
    return total


def _times(first: Floats, second: Floats) -> Floats:
    """Product of quaternions [n, 4]: `second` on the axes that `first` leads to."""
    w, x, y, z = first.T
    a, b, c, d = second.T
    rows = [
        w * a - x * b - y * c - z * d,
        w * b + x * a + y * d - z * c,
        w * c - x * d + y * a + z * b,
        w * d + x * c - y * b + z * a,
    ]
    return np.stack(rows, axis=1)


def _upright(up: Floats) -> Floats:
    """Return quaternions [n, 4] of the shortest turns that bring unit vectors [n, 3] onto the last axis."""
    quaternion = np.stack([1.0 + up[:, 2], up[:, 1], -up[:, 0], np.zeros(len(up))], axis=1)
    quaternion[np.linalg.norm(quaternion, axis=1) < 1e-6] = (0.0, 1.0, 0.0, 0.0)
    turned: Floats = quaternion / np.linalg.norm(quaternion, axis=1)[:, None]
    return turned


def _rotate(quaternion: Floats, vector: Floats) -> Floats:
    scalar, axis = quaternion[:, :1], quaternion[:, 1:]
    across = 2.0 * np.cross(axis, vector)
    turned: Floats = vector + scalar * across + np.cross(axis, across)
    return turned
