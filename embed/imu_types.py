"""How the shards of a view hold the IMU: exact, or in half the bytes with the worst error measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.view import ImuType, View
from sensorloom.align.window import Window
from sensorloom.embed.errors import EmbedError

__all__ = ["check_range", "convert_imu"]

_MAX_CODE = 32767
"""Of int16; -32768 is never used, so that a sign changes nothing else."""
_LIMITS: dict[ImuType, float] = {
    "float32": np.inf,
    "float16": float(np.finfo(np.float16).max),
    # The largest code times its rounded scale must not leave float32 either.
    "int16": float(np.finfo(np.float32).max) / 2,
}
_UNITS = (("accelerometer", "m/s²"), ("gyroscope", "rad/s"))
# Few enough to stay in a core's cache from step to step.
_WINDOWS_AT_ONCE = 16


def convert_imu(
    imu: NDArray[np.float32], imu_type: ImuType
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """Return what a shard holds of `imu` float32[n, S, 6, T], and the worst error it makes: m/s² and rad/s.

    That is `imu` in `imu_type`, with int16 also `imu_scale` float32[n, S, 6]: a value is `imu * imu_scale[..., None]`.
    The scale of a window's channel is its largest magnitude / 32767, or 1 where all is 0. The error is the largest
    magnitude of what a reader gets in float32 minus what was given. A 0.0 stays exactly that. Values must lie in the
    type's range: `check_range`.
    """
    worst = np.zeros(2)
    if imu_type == "float32":
        return {"imu": imu}, worst
    stored: dict[str, NDArray[Any]] = {"imu": np.empty(imu.shape, imu_type)}
    if imu_type == "int16":
        stored["imu_scale"] = np.empty(imu.shape[:3], np.float32)
    for start in range(0, len(imu), _WINDOWS_AT_ONCE):
        part = slice(start, start + _WINDOWS_AT_ONCE)
        if imu_type == "int16":
            scale = stored["imu_scale"][part] = _scale_of(imu[part])
            stored["imu"][part] = np.rint(imu[part] / scale[..., None])
            read = stored["imu"][part] * scale[..., None]
        else:
            stored["imu"][part] = imu[part]
            read = stored["imu"][part].astype(np.float32)
        # Exact in float32: what was rounded is 0 or within a factor of 2 of what was given.
        error = np.abs(np.subtract(read, imu[part], out=read), out=read).max(axis=(0, 1, 3))
        worst = np.maximum(worst, error.reshape(2, 3).max(axis=1))
    return stored, worst


def check_range(imu: NDArray[np.float32], view: View, windows: Sequence[Window]) -> None:
    """Raise `EmbedError` for a value that the view's type would make infinite: of which window, sensor, how large."""
    if view.imu_type == "float32" or not imu.size:
        return
    limit = _LIMITS[view.imu_type]
    peaks = np.abs(imu).max(axis=3)
    beyond = np.argwhere(~(peaks <= limit))  # also what is not a number
    if not len(beyond):
        return
    window, slot, channel = beyond[0]
    sensor, unit = _UNITS[channel // 3]
    others = " or ".join(f'"{name}"' for name, most in _LIMITS.items() if most > limit)
    raise EmbedError(
        f"view {view.name}: the {sensor} at {view.positions[slot]} in window {windows[window].window_id} reaches"
        f" {peaks[window, slot, channel]:g} {unit}, {view.imu_type} holds at most {limit:g} {unit};"
        f" set imu_type = {others} in [views.{view.name}], and look at the take: no worn sensor measures that"
    )


def _scale_of(imu: NDArray[np.float32]) -> NDArray[np.float32]:
    peaks = np.abs(imu).max(axis=3)
    # Below the smallest normal float32 a scale would lose its digits, or be 0.
    scale = np.maximum(peaks / np.float32(_MAX_CODE), np.finfo(np.float32).tiny)
    return np.where(peaks > 0, scale, np.float32(1)).astype(np.float32)
