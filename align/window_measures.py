"""Measures of windows: what each sensor, the mocap and each camera show in them.

Every function returns a mapping of measures, float32[n] each; NaN where nothing can be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.ranges import Ranges
from sensorloom.align.saturation import FLOORS, saturated
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import GRID_RATE_HZ, SLOW_STEP_NS, ImuTrack, MocapTrack, Quality

__all__ = ["BONES", "STANDARD_GRAVITY_M_S2", "camera_measures", "mocap_measures", "sensor_measures"]

Measures = Mapping[str, NDArray[np.float32]]

STANDARD_GRAVITY_M_S2 = 9.80665

BONES = (
    ("left-shoulder", "left-elbow"), ("left-elbow", "left-wrist"), ("left-hip", "left-knee"),
    ("left-knee", "left-ankle"), ("right-shoulder", "right-elbow"), ("right-elbow", "right-wrist"),
    ("right-hip", "right-knee"), ("right-knee", "right-ankle"), ("left-shoulder", "right-shoulder"),
    ("left-hip", "right-hip"),
)  # fmt: skip
"""Pairs of joints whose distance a body cannot change."""

_LEAST_SAMPLES = 20  # 100 ms of usable samples: less says nothing of values
_SAME_ULPS = 32  # of float32: what resampling a constant may leave of a difference
_LEAST_RUN_S = 0.25  # of a constant channel: shorter ones are quantisation
_LEAST_GRAVITY_S = 2.0  # below, a jump changes the mean force by more than calibrations do
_STILL_SHARE = 0.05  # of the mean norm: its spread in a still window
_STILL_RAD_S = 0.3
_AT_REST = (0.1, 0.05)  # m/s², rad/s: one step of a phone's converter back and forth stays below


def sensor_measures(track: ImuTrack, sensor: int, ranges: Ranges, limits: Sequence[float] = ()) -> Measures:
    """Measure one sensor (0 accelerometer, 1 gyroscope) of `track` in `ranges` of the grid.

    `limits` are those, with their sign, that the recorded samples are known to stand at.

    `coverage`, `retimed` and `interpolated` are shares of the window, `saturated` of its usable samples;
    `longest_gap_ms` and `constant_s` the longest stretch without a usable sample and with a channel that does not
    change; `is_zero` and `has_identical_axes` are 0 or 1. Of an accelerometer there are its mean norm `gravity_m_s2`
    and `gravity_off_m_s2`, how far it is from what a worn one can read.
    """
    quality = track.quality[:, sensor]
    usable = quality != Quality.INVALID
    axes = [np.ascontiguousarray(track.values[:, 3 * sensor + axis]) for axis in range(3)]
    count = ranges.count(usable)
    told = count >= _LEAST_SAMPLES
    is_zero = told & (ranges.count(usable & _any_nonzero(axes)) == 0)
    constant_s = np.maximum.reduce([_constant_s(axis, usable, ranges) for axis in axes])
    # On a body at rest a coarse sensor repeats itself soundly.
    constant_s = np.where(is_zero | ~_moves(track, ranges), 0.0, constant_s)
    moving = told & ~is_zero & (2 * constant_s * GRID_RATE_HZ < count)
    is_copied = moving & _identical(axes, usable, ranges)
    measures = {
        "coverage": _share(count, ranges.sizes),
        "retimed": _share(ranges.count(quality == Quality.RETIMED), ranges.sizes),
        "interpolated": _share(ranges.count(quality == Quality.INTERPOLATED), ranges.sizes),
        "longest_gap_ms": _float(ranges.longest(~usable) * (1000 / GRID_RATE_HZ)),
        "is_zero": _float(is_zero, told),
        "constant_s": _float(constant_s, told),
        "has_identical_axes": _float(is_copied, told),
        "saturated": _float(
            _saturated(axes, usable, (FLOORS[sensor], limits), ranges) / np.maximum(1, count), told
        ),
    }
    if sensor:
        return measures
    # A dead or copied axis spoils the norm, and has a name of its own.
    return {**measures, **_gravity(track, axes, usable, moving & ~is_copied, ranges)}


def mocap_measures(mocap: MocapTrack, starts_ns: NDArray[np.int64], stops_ns: NDArray[np.int64]) -> Measures:
    """Measure body joints in windows: share `coverage` of joints and rows, and how far `bones` are off their length.

    A bone's length is its median over the take; `bones` is the mean over a window's recorded rows of how far each is
    off, as a share of that. Rows between recorded ones are lines, on which a turning bone shrinks; they do not count.
    """
    first, last = (-((mocap.start_ns - times) // SLOW_STEP_NS) for times in (starts_ns, stops_ns))
    ranges = Ranges.inside(first, last, len(mocap.values))
    rows = np.maximum(1, -(-(stops_ns - starts_ns) // SLOW_STEP_NS))
    there = ranges.total((mocap.quality != Quality.INVALID).mean(axis=1))
    off, counted = _bone_errors(mocap)
    bones = ranges.count(counted > 0)
    mean = ranges.total(off) / np.maximum(1.0, ranges.total(counted))
    return {"coverage": _float(np.minimum(1, there / rows)), "bones": _float(mean, bones >= 1)}


def camera_measures(
    camera: CameraMotion, starts_ns: NDArray[np.int64], stops_ns: NDArray[np.int64]
) -> Measures:
    """Measure one camera in windows: shares of the frames shown that are `frozen` or `black`."""
    first, last = (np.searchsorted(camera.times_ns, times) for times in (starts_ns, stops_ns))
    ranges = Ranges.inside(first, last, len(camera.times_ns))
    decoded = ranges.count(camera.is_decoded)
    return {
        name: _float(ranges.count(mask & camera.is_decoded) / np.maximum(1, decoded), decoded > 0)
        for name, mask in (("frozen", camera.is_frozen), ("black", camera.is_black))
    }


def _float(values: NDArray[np.generic], told: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    measure = values.astype(np.float32)
    if told is not None:
        measure[~told] = np.nan
    return measure


def _share(count: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float32]:
    return _float(count / np.maximum(1, sizes))


def _moves(track: ImuTrack, ranges: Ranges) -> NDArray[np.bool_]:
    """Return bool[n], whether any axis of either sensor varies by more than coarse sensors do at rest."""
    moves = np.zeros(len(ranges.starts), np.bool_)
    for axis in range(6):
        usable = track.quality[:, axis // 3] != Quality.INVALID
        count = np.maximum(1, ranges.count(usable))
        # About the take's own mean, so that squares keep their digits.
        values = np.where(usable, track.values[:, axis], 0).astype(np.float64)
        values = np.where(usable, values - values.sum() / max(1, np.count_nonzero(usable)), 0)
        mean = ranges.total(values) / count
        variance = ranges.total(values * values) / count - mean**2
        moves |= variance > _AT_REST[axis // 3] ** 2
    return moves


def _any_nonzero(axes: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    nonzero: NDArray[np.bool_] = (axes[0] != 0) | (axes[1] != 0) | (axes[2] != 0)
    return nonzero


def _constant_s(axis: NDArray[np.float32], usable: NDArray[np.bool_], ranges: Ranges) -> NDArray[np.float64]:
    """Return the longest stretch in seconds, float64[n], over which an axis keeps one value."""
    same = np.zeros(len(axis), np.bool_)
    tolerance = _SAME_ULPS * np.finfo(np.float32).eps * np.maximum(np.abs(axis[1:]), 1)
    same[1:] = (np.abs(np.diff(axis)) <= tolerance) & usable[1:] & usable[:-1]
    longest = ranges.longest(same, round(_LEAST_RUN_S * GRID_RATE_HZ))
    # k equal differences lie between k + 1 samples; a run that fills the range began before it.
    whole = np.minimum(longest + (longest > 0), ranges.sizes)
    return whole / GRID_RATE_HZ


def _identical(
    axes: list[NDArray[np.float32]], usable: NDArray[np.bool_], ranges: Ranges
) -> NDArray[np.bool_]:
    """Return bool[n], whether two axes are equal in every usable sample."""
    identical = np.zeros(len(ranges.starts), np.bool_)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        differ = (axes[one] != axes[other]) & usable
        if not differ.all():
            identical |= ranges.count(differ) == 0
    return identical


def _saturated(
    axes: list[NDArray[np.float32]],
    usable: NDArray[np.bool_],
    limits: tuple[float, Sequence[float]],
    ranges: Ranges,
) -> NDArray[np.int64]:
    """Return int64[n], samples with an axis at its limit; `limits` are the floor and those known."""
    found = [saturated(axis, usable, *limits) for axis in axes]
    masks = [mask for mask in found if mask is not None]
    if not masks:
        return np.zeros(len(ranges.starts), np.int64)
    return ranges.count(np.logical_or.reduce(masks))


def _gravity(
    track: ImuTrack,
    axes: list[NDArray[np.float32]],
    usable: NDArray[np.bool_],
    whole: NDArray[np.bool_],
    ranges: Ranges,
) -> Measures:
    """Return the mean norm of an accelerometer, and how far it is from what a worn one can read, where it is `whole`.

    The norm does not care how the sensor is turned, and in the mean over some seconds no body stays accelerated: so the
    mean norm is at least gravity, however one moves. Where sensor and norm are still it is gravity.
    """
    count = np.maximum(1, ranges.count(usable))
    norm = np.where(usable, np.sqrt(axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2), 0)
    mean = ranges.total(norm) / count
    spread = np.sqrt(np.maximum(0, ranges.total(norm * norm) / count - mean**2))
    turning = track.values[:, 3:]
    turns = np.where(
        track.quality[:, 1] != Quality.INVALID, np.sqrt(np.einsum("ij,ij->i", turning, turning)), 0
    )
    still = (spread <= _STILL_SHARE * mean) & (ranges.total(turns) / count <= _STILL_RAD_S)
    told = whole & (2 * count >= ranges.sizes) & (count >= _LEAST_GRAVITY_S * GRID_RATE_HZ)
    low = STANDARD_GRAVITY_M_S2 - mean
    off = np.maximum(0, np.where(still, np.abs(low), low))
    return {"gravity_m_s2": _float(mean, told), "gravity_off_m_s2": _float(off, told)}


def _bone_errors(mocap: MocapTrack) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return per row the sum of shares that bones are off, float64[M], and how many bones there are, float64[M]."""
    off, counted = np.zeros(len(mocap.values)), np.zeros(len(mocap.values))
    places = {joint: place for place, joint in enumerate(mocap.joints)}
    for one, other in BONES:
        if one not in places or other not in places:
            continue
        ends = [places[one], places[other]]
        there = (mocap.quality[:, ends] == Quality.VALID).all(axis=1)
        length = np.linalg.norm(mocap.values[there, ends[0]] - mocap.values[there, ends[1]], axis=1)
        usual = float(np.median(length)) if len(length) else 0.0
        if usual > 0:
            off[there] += np.minimum(1, np.abs(length / usual - 1))
            counted[there] += 1
    return off, counted
