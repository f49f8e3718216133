"""Which streams of a take are compared, by what motion, and how far that motion can be trusted.

One stream is the reference: the IMU that the take is about, on the head where there is one. Every camera, the mocap and
every other IMU is compared with it and with nothing else, so that n streams give n - 1 pairs and offsets between any
two of them are differences; besides, each IMU's accelerometer is compared with its own gyroscope. A take without an IMU
has no pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sensorloom.align.sync.estimate import SyncEstimate, estimate
from sensorloom.align.sync.inertial import (
    gravity_change,
    gyroscope,
    impacts,
    rotation_speed,
    smooth_acceleration,
    turned_gravity,
)
from sensorloom.align.sync.motion import (
    MOCAP_REACH_NS,
    CameraMotion,
    camera_energy,
    camera_rotation,
    head_acceleration,
)
from sensorloom.align.sync.signal import MotionSignal
from sensorloom.align.timeline import AlignedTake, ImuTrack, Quality
from sensorloom.ingest.take import NS_PER_S

__all__ = [
    "LEAST_IMPACTS_S",
    "LEAST_IMPACT_SHARE",
    "MODEL_ERROR_MS",
    "MOST_IMPACT_MS",
    "estimate_take",
    "reference_track",
]

_REFERENCES = ("head", "chest", "waist")
"""Positions that a take is about, the first that it has."""

MODEL_ERROR_MS = {
    "rotation": 2.0,
    "acceleration": 5.0,
    "energy": 40.0,
    "gravity": 40.0,
    "impact": 20.0,
}
"""By how much the two sides of a method may seem apart though they are not, at 95 %: each interval is widened by it.

One rigid body turns as one, and cameras show when it does (`rotation`, `acceleration`: what smoothing and interpolation
leave). Hands before a camera need not move just when the head turns (`energy`), nor is a force that changes all gravity
(`gravity`: within 32 ms on generated motion where told). Two parts of a body share that feet strike
(`impact`): it travels for some 10 ms, soft parts answer some ms later, and each limb adds what it does itself.
"""

LEAST_IMPACTS_S = 15.0
LEAST_IMPACT_SHARE = 0.25
"""Of two parts of a body less tells nothing: steps resemble one another. Two stretches of one real walk (REALWORLD,
shin) show up to 0.2 in common at some lag within two seconds."""
MOST_IMPACT_MS = 2000.0
"""What is farther off is no clock of a recording that was begun together, but steps that happen to meet."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two signals of one motion; the offset of `second` against `first` is asked for."""

    first: MotionSignal
    second: MotionSignal
    method: str


def estimate_take(aligned: AlignedTake, cameras: Sequence[CameraMotion]) -> tuple[SyncEstimate, ...]:
    """Return what can be told of every pair of `aligned` that is worth it, the reference first in each."""
    reference = reference_track(aligned)
    if reference is None:
        return ()
    pairs = (
        *_camera_pairs(aligned, reference, cameras),
        *_body_pairs(aligned, reference),
        *_own_pairs(aligned),
    )
    return tuple(_estimate(pair) for pair in pairs)


def reference_track(aligned: AlignedTake) -> ImuTrack | None:
    """Return the IMU that everything else is compared with, None where the take has none."""
    tracks = {track.position: track for track in aligned.imu if track.quality.any()}
    named = (tracks[position] for position in _REFERENCES if position in tracks)
    return next(named, next(iter(tracks.values()), None))


def _camera_pairs(
    aligned: AlignedTake, reference: ImuTrack, cameras: Sequence[CameraMotion]
) -> Iterator[_Pair]:
    """A worn camera turns as the head does; before one that stands, the wearer moves."""
    if not _has(reference, 1):
        return
    turning, speed = gyroscope(reference, aligned.grid), rotation_speed(reference, aligned.grid)
    for camera in cameras:
        if camera.view == "ego":
            yield _Pair(turning, camera_rotation(camera), "rotation")
        else:
            yield _Pair(speed, camera_energy(camera), "energy")


def _body_pairs(aligned: AlignedTake, reference: ImuTrack) -> Iterator[_Pair]:
    """Compare the mocap of the head with an IMU on the head, and every other IMU with the reference."""
    joints = head_acceleration(aligned.mocap) if aligned.mocap is not None else None
    if joints is not None and reference.position == "head" and _has(reference, 0) and _has(reference, 1):
        worn = smooth_acceleration(reference, aligned.grid, MOCAP_REACH_NS)
        yield _Pair(worn, joints, "acceleration")
    for track in aligned.imu:
        if track is reference or not (_has(track, 1) and _has(reference, 1)):
            continue
        if track.device == reference.device:
            yield _Pair(gyroscope(reference, aligned.grid), gyroscope(track, aligned.grid), "rotation")
        elif _has(track, 0) and _has(reference, 0):
            yield _Pair(impacts(reference, aligned.grid), impacts(track, aligned.grid), "impact")


def _own_pairs(aligned: AlignedTake) -> Iterator[_Pair]:
    """Compare each IMU's accelerometer with its gyroscope: by how gravity turns."""
    for track in aligned.imu:
        if _has(track, 0) and _has(track, 1):
            yield _Pair(turned_gravity(track, aligned.grid), gravity_change(track, aligned.grid), "gravity")


def _has(track: ImuTrack, sensor: int) -> bool:
    return bool((track.quality[:, sensor] != Quality.INVALID).any())


def _estimate(pair: _Pair) -> SyncEstimate:
    """Return the estimate of a pair, its intervals widened by what its method may be wrong by."""
    if pair.method == "impact":
        found = _estimate_impacts(pair)
    else:
        found = estimate(pair.first, pair.second, method=pair.method)
    if found.offset_ms is None or found.offset_ci_ms is None:
        return found
    error_ms = MODEL_ERROR_MS[pair.method]
    return replace(
        found,
        offset_ci_ms=_widened(found.offset_ci_ms, error_ms),
        drift_ci_ppm=_widened(found.drift_ci_ppm, error_ms * 1e3 / _span_s(found)),
        jump_ci_ms=_widened(found.jump_ci_ms, error_ms),
    )


def _widened(interval: float | None, by: float) -> float | None:
    return None if interval is None else float(np.hypot(interval, by))


def _estimate_impacts(pair: _Pair) -> SyncEstimate:
    """Return the estimate of two parts of a body, where enough of their impacts agree near to no lag."""
    blank = SyncEstimate(pair.first.name, pair.second.name, pair.method)
    if min(_told_s(pair.first), _told_s(pair.second)) < LEAST_IMPACTS_S:
        return replace(blank, reason=f"under {LEAST_IMPACTS_S:g} s in common")
    found = estimate(pair.first, pair.second, method=pair.method)
    if found.offset_ms is None:
        return found
    if np.mean([segment.strength for segment in found.segments]) < LEAST_IMPACT_SHARE:
        return replace(blank, reason="few impacts in common")
    if max(abs(found.offset_ms), abs(found.jump_ms or 0.0)) > MOST_IMPACT_MS:
        return replace(blank, reason=f"no clear peak within {MOST_IMPACT_MS / 1e3:g} s")
    return found


def _told_s(signal: MotionSignal) -> float:
    return float(signal.valid.sum() * signal.step_ns / NS_PER_S)


def _span_s(found: SyncEstimate) -> float:
    return max(1.0, found.segments[-1].time_s - found.segments[0].time_s) if found.segments else 1.0
