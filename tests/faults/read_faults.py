"""Faults of clocks: a take as its reader hands it on, with times that its device never kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, MocapStream, SensorStream, Severity, Take
from tests.faults.fault import Fault

__all__ = ["READ_FAULTS"]

Times = NDArray[np.int64]
_EGO4D_158 = "https://github.com/facebookresearch/Ego4d/issues/158"
_EGO4D_347 = "https://github.com/facebookresearch/Ego4d/issues/347"


def _restamp(name: str, change: Callable[[Times], Times], take: Take) -> Take:
    """Change the times of every sensor whose `position/kind` starts with `name`."""
    return replace(
        take,
        streams=tuple(
            replace(stream, times_ns=change(stream.times_ns)) if stream.name.startswith(name) else stream
            for stream in take.streams
        ),
    )


def _late(milliseconds: float, times_ns: Times) -> Times:
    return times_ns + round(milliseconds * NS_PER_MS)


def _fast(ppm: float, times_ns: Times) -> Times:
    """Let the clock run fast by `ppm` from the first sample on."""
    return times_ns[0] + np.round((times_ns - times_ns[0]) * (1 + ppm / 1e6)).astype(np.int64)


def _cut_rate(true_hz: float, taken_hz: float, times_ns: Times) -> Times:
    """Make stamps anew from the first one, at a rate that was cut to whole Hz."""
    return _fast((true_hz / taken_hz - 1) * 1e6, times_ns)


def _close_gap(at_s: float, length_s: float, take: Take) -> Take:
    """Lose every sensor's samples of `length_s` from `at_s` on, and move what follows up to what was before."""

    def close(stream: SensorStream) -> SensorStream:
        since_s = (stream.times_ns - stream.times_ns[0]) / NS_PER_S
        keep = (since_s < at_s) | (since_s >= at_s + length_s)
        moved = stream.times_ns - round(length_s * NS_PER_S) * (since_s >= at_s + length_s)
        return replace(stream, times_ns=moved[keep], values=stream.values[keep])

    return replace(take, streams=tuple(map(close, take.streams)))


def _start_with_video(late_s: float, take: Take) -> Take:
    """Let the IMU begin `late_s` after the video, and its first sample be taken for the video's start."""

    def zero(stream: SensorStream) -> SensorStream:
        keep = stream.times_ns >= stream.times_ns[0] + round(late_s * NS_PER_S)
        shift_ns = round(late_s * NS_PER_S)
        return replace(stream, times_ns=stream.times_ns[keep] - shift_ns, values=stream.values[keep])

    return replace(take, streams=tuple(map(zero, take.streams)))


def _late_camera(view: str, milliseconds: float, take: Take) -> Take:
    """Shift the clock of the first camera of a view against the take."""
    name = next(video.name for video in take.videos if video.view == view)
    clock = next(video.clock for video in take.videos if video.name == name)
    shift_ns = round(milliseconds * NS_PER_MS)
    anchors = tuple(
        replace(one, target_ns=one.target_ns + shift_ns) if one.source == clock else one
        for one in take.anchors
    )
    return replace(take, anchors=anchors)


def _late_body(milliseconds: float, take: Take) -> Take:
    def late(body: MocapStream) -> MocapStream:
        return replace(body, times_ns=_late(milliseconds, body.times_ns))

    return replace(take, mocap=tuple(map(late, take.mocap)))


_Row = tuple[str, str, str, Severity, str, str, Callable[[Take], Take]]

_PUBLISHED = {"ego4d-resampler-drifts": 6, "ego4d-gap-closed": 7, "ego4d-imu-starts-with-video": 8}


_ROWS: tuple[_Row, ...] = (
    (
        "ego4d-resampler-drifts", "#ego", "sync-drift-impossible", "error",
        "the rate 199.9 Hz is cut to 199 and the stamps are made anew from the first",
        "IMU2CLIP, extract_imu.py:68-76: lessons 0.3",
        partial(_restamp, "head", partial(_cut_rate, 199.9, 199.0)),
    ),
    (
        "ego4d-gap-closed", "#ego", "sync-jump", "warning",
        "1 s of samples is lost in the middle, and what follows is moved up to what was before",
        "IMU2CLIP, extract_imu.py:68-76, makes stamps anew over gaps: lessons 0.3",
        partial(_close_gap, 45.0, 1.0),
    ),
    (
        "ego4d-imu-starts-with-video", "#ego", "sync-shifted", "warning",
        "the IMU begins 0.7 s after the video, and its first sample is taken for the video's start",
        f"Ego4D docs/data/imu.md and {_EGO4D_158}: lessons 0.5",
        partial(_start_with_video, 0.7),
    ),
    (
        "ego4d-clock-drifts", "#ego", "sync-drifting", "warning",
        "the clock of the IMU runs fast by 950 ppm",
        "a resonator in the place of a quartz",
        partial(_restamp, "head", partial(_fast, 950.0)),
    ),
    (
        "egoexo4d-camera-late", "", "sync-shifted", "warning",
        "the wearer's camera is 15 frames late",
        f"frame-aligned videos that are frames apart, {_EGO4D_347}",
        partial(_late_camera, "ego", 500.0),
    ),
    (
        "egoexo4d-mocap-late", "/head", "sync-shifted", "warning",
        "body joints are 250 ms late",
        f"frame numbers of another cut of the take, {_EGO4D_347}",
        partial(_late_body, 250.0),
    ),
    (
        "egoexo4d-left-imu-drifts", "#head-left/gyroscope", "sync-drift-impossible", "error",
        "the left IMU runs fast by 4000 ppm",
        "a rate of 800 Hz taken for 803",
        partial(_restamp, "head-left", partial(_fast, 4000.0)),
    ),
    (
        "realworld-gyroscope-late", "#waist/accelerometer", "sync-shifted", "warning",
        "the gyroscope of the waist's phone is 300 ms late beside its accelerometer",
        "phones that stamp each sensor when it is handed on, REALWORLD",
        partial(_restamp, "waist/gyroscope", partial(_late, 300.0)),
    ),
    (
        "realworld-gyroscope-rate-cut", "#waist/accelerometer", "sync-drift-impossible", "error",
        "the gyroscope's rate of 50.25 Hz is taken for 50",
        "IMU2CLIP, extract_imu.py:68-76: lessons 0.3",
        partial(_restamp, "waist/gyroscope", partial(_cut_rate, 50.25, 50.0)),
    ),
    (
        "pamap2-rate-cut", "#chest/accelerometer", "sync-drift-impossible", "error",
        "the rate of the chest's gyroscope is taken for 100 Hz, and was 100.4",
        "IMU2CLIP, extract_imu.py:68-76: lessons 0.3",
        partial(_restamp, "chest/gyroscope", partial(_cut_rate, 100.4, 100.0)),
    ),
    (
        "pamap2-gyroscope-late", "#hand/accelerometer", "sync-shifted", "warning",
        "the gyroscope at the hand is 150 ms late beside its accelerometer",
        "sensors of one device that have stamps of their own",
        partial(_restamp, "hand/gyroscope", partial(_late, 150.0)),
    ),
)  # fmt: skip

READ_FAULTS: tuple[Fault, ...] = tuple(
    Fault(
        identity,
        identity.partition("-")[0],
        "read",
        how,
        rule,
        severity,
        source,
        on,
        _PUBLISHED.get(identity, 0),
        plant,
    )
    for identity, on, rule, severity, how, source, plant in _ROWS
)
