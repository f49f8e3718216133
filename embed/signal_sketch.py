"""Windows of IMU samples as short vectors whose distances are those of the signals: to find copies fast.

Of each sensor only what moves counts, brought to length 1, so that a distance is relative: 0 of a copy, about 1.4 of
two windows that have nothing to do with one another. Each sample is added with a random sign to one of 256 sums, which
keeps squared distances within some 10 % [feature hashing, Weinberger et al. 2009].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sketches", "join_sketches", "sketch_signals"]

_WIDTH = 256
_BLOCK_BYTES = 16 * 2**20
_SENSORS = (slice(0, 3), slice(3, 6))
STILL = (2e-3, 2e-4)
"""Accelerometers and gyroscopes move by less than this, rms in m/s² and rad/s, only where they are dead."""


@dataclass(frozen=True, slots=True)
class Sketches:
    """n windows: `values` float16[n, 256] keep distances, `moves` bool[n] says where there is a signal at all.

    `level` float32[n, S, 6] is the mean of each channel and `scale` float32[n, S, 2] the rms about it of each sensor,
    of a window that has them.
    """

    values: NDArray[np.float16]
    moves: NDArray[np.bool_]
    level: NDArray[np.float32]
    scale: NDArray[np.float32]

    def same_level(self, pairs: NDArray[np.int64], within: float) -> NDArray[np.bool_]:
        """Return for pairs int64[p, 2] whether mean and strength agree too, to `within` of the strength.

        What lies still but for one slow turn looks alike in any two windows until one asks where it lay.
        """
        one, other = pairs[:, 0], pairs[:, 1]
        scale = np.maximum(self.scale[one], self.scale[other])
        alike = (np.abs(self.scale[one] - self.scale[other]) <= within * scale + 1e-6).all(axis=(1, 2))
        apart = np.abs(self.level[one] - self.level[other])
        room = np.repeat(within * scale, 3, axis=2) + 1e-3
        result: NDArray[np.bool_] = alike & (apart <= room).all(axis=(1, 2))
        return result


def sketch_signals(arrays: Mapping[str, NDArray[Any]]) -> Sketches:
    """Sketch the windows of a triplet shard: `imu` [n, S, 6, T] with `imu_scale` where it is int16, `imu_present`."""
    imu, present = arrays["imu"], arrays["imu_present"]
    count, slots, channels, samples = imu.shape
    signs = np.random.default_rng(2).choice(np.array([-1, 1], np.float32), imu.shape[1:])
    found = Sketches(
        np.zeros((count, _WIDTH), np.float16),
        np.zeros(count, np.bool_),
        np.zeros((count, slots, channels), np.float32),
        np.zeros((count, slots, len(_SENSORS)), np.float32),
    )
    block = max(1, _BLOCK_BYTES // max(1, 4 * slots * channels * samples))
    for start in range(0, count, block):
        part = slice(start, start + block)
        signal = imu[part].astype(np.float32)
        if "imu_scale" in arrays:
            signal *= arrays["imu_scale"][part][..., None]
        found.level[part] = signal.mean(axis=3)
        signal -= found.level[part][..., None]
        found.scale[part], found.moves[part] = _even(signal, present[part])
        signal *= signs
        found.values[part] = _fold(signal.reshape(len(signal), -1))
    return found


def join_sketches(parts: list[Sketches]) -> Sketches:
    """Return the sketches of shards, one behind the other."""
    return Sketches(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("values", "moves", "level", "scale")
        )
    )


def _even(
    signal: NDArray[np.float32], present: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bring each sensor that is there and alive to the same length, in place, the others to zero.

    Returns the rms float32[b, S, 2] before, and bool[b], whether any sensor moves.
    """
    scale, moves = np.zeros(present.shape, np.float32), np.zeros(present.shape, np.bool_)
    for sensor, channels in enumerate(_SENSORS):
        of_sensor = signal[:, :, channels]
        energy = np.einsum("bsct,bsct->bs", of_sensor, of_sensor)
        scale[..., sensor] = np.sqrt(energy / max(1, of_sensor.shape[2] * of_sensor.shape[3]))
        alive = np.isfinite(scale[..., sensor]) & (scale[..., sensor] > STILL[sensor])
        moves[..., sensor] = present[..., sensor] & alive
    counts = np.maximum(1, moves.sum(axis=(1, 2), keepdims=True))
    samples = 3 * signal.shape[3]
    gain = np.where(moves, 1 / (np.where(moves, scale, 1) * np.sqrt(samples * counts)), 0).astype(np.float32)
    for sensor, channels in enumerate(_SENSORS):
        signal[:, :, channels] *= gain[:, :, sensor, None, None]
    np.nan_to_num(signal, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    any_moves = np.logical_or.reduce(moves.reshape(len(moves), -1), axis=1)
    return np.nan_to_num(scale), any_moves


def _fold(signed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sums [b, 256] of every 256th sample of [b, N]."""
    whole = signed.shape[1] // _WIDTH * _WIDTH
    sums: NDArray[np.float32] = signed[:, :whole].reshape(len(signed), whole // _WIDTH, _WIDTH).sum(axis=1)
    sums[:, : signed.shape[1] - whole] += signed[:, whole:]
    return sums
