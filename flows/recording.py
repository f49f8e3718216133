"""One aligned take as a Rerun recording, to be looked at stream by stream in the Rerun viewer.

On the timeline `take` everything stands at its time on the take's clock: IMU as lines that break where a sample is
invalid, their quality codes, body poses as joints and bones, texts and labels, and with the raw tree the videos.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rerun as rr
from numpy.typing import NDArray

from sensorloom.align.timeline import (
    GRID_STEP_NS,
    SLOW_STEP_NS,
    AlignedTake,
    ImuTrack,
    MocapTrack,
    Quality,
    VideoTrack,
)
from sensorloom.flows.errors import RunError
from sensorloom.flows.pages.skeletons import BONES
from sensorloom.ingest.take import NS_PER_S

__all__ = ["write_recording"]

TIMELINE = "take"
_SENSORS = {"accelerometer": slice(0, 3), "gyroscope": slice(3, 6)}


def write_recording(take: AlignedTake, path: Path, videos: Mapping[str, Path]) -> None:
    """Write `take` to the new file `path`; `videos` are files of its cameras by name. Raises `RunError`."""
    recording = rr.RecordingStream(
        "sensorloom", recording_id=take.take_id, make_default=False, send_properties=False
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recording.save(path)
    except (OSError, RuntimeError) as error:
        raise RunError(f"cannot write the recording {path}: {error}") from error
    for track in take.imu:
        _log_imu(recording, take, track)
    if take.mocap is not None:
        _log_mocap(recording, take.mocap)
    _log_words(recording, take)
    for video in take.videos:
        if video.name in videos:
            _log_video(recording, video, videos[video.name])
    recording.disconnect()


def _column(times_ns: NDArray[np.int64]) -> rr.TimeColumn:
    return rr.TimeColumn(TIMELINE, duration=times_ns.astype("timedelta64[ns]"))


def _log_imu(recording: rr.RecordingStream, take: AlignedTake, track: ImuTrack) -> None:
    times = _column(take.grid.start_ns + np.arange(take.grid.num_samples) * GRID_STEP_NS)
    for place, (kind, axes) in enumerate(_SENSORS.items()):
        quality = track.quality[:, place]
        values = np.where((quality == Quality.INVALID)[:, None], np.nan, track.values[:, axes])
        entity = f"imu/{track.position}/{kind}"
        recording.log(entity, rr.SeriesLines(names=["x", "y", "z"]), static=True)
        recording.send_columns(entity, [times], rr.Scalars.columns(scalars=values.astype(np.float64)))
        codes = quality.astype(np.float64)[:, None]
        recording.send_columns(f"{entity}/quality", [times], rr.Scalars.columns(scalars=codes))


def _log_mocap(recording: rr.RecordingStream, mocap: MocapTrack) -> None:
    recording.log("mocap", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    times = _column(mocap.start_ns + np.arange(len(mocap.values)) * SLOW_STEP_NS)
    seen = mocap.quality != Quality.INVALID
    points = rr.Points3D.columns(positions=mocap.values[seen]).partition(seen.sum(axis=1))
    recording.send_columns("mocap/joints", [times], points)
    places = {joint: place for place, joint in enumerate(mocap.joints)}
    bones = np.array([[places[one], places[other]] for one, other in BONES if {one, other} <= places.keys()])
    if len(bones):
        drawn = seen[:, bones].all(axis=2)
        strips = rr.LineStrips3D.columns(strips=mocap.values[:, bones][drawn])
        recording.send_columns("mocap/bones", [times], strips.partition(drawn.sum(axis=1)))


def _log_words(recording: rr.RecordingStream, take: AlignedTake) -> None:
    words = [(f"text/{event.source}", event.start_ns, event.text) for event in take.events]
    words += [(f"label/{label.source}", label.start_ns, label.text) for label in take.labels]
    for entity in sorted({entity for entity, _, _ in words}):
        rows = [(time_ns, text) for one, time_ns, text in words if one == entity]
        times = _column(np.array([time_ns for time_ns, _ in rows], np.int64))
        recording.send_columns(entity, [times], rr.TextLog.columns(text=[text for _, text in rows]))


def _log_video(recording: rr.RecordingStream, video: VideoTrack, path: Path) -> None:
    entity = f"video/{video.name}"
    recording.log(entity, rr.AssetVideo(path=path), static=True)
    numerator, denominator = video.time_base
    stamps_ns = video.pts * (numerator * NS_PER_S) // denominator
    frames = rr.VideoFrameReference.columns_nanos(stamps_ns)
    recording.send_columns(entity, [_column(video.times_ns)], frames)
