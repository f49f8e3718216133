"""The stored form of an aligned take: named arrays, JSON attributes, and the rows that describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.align.events import event_ids
from sensorloom.align.timeline import (
    GRID_RATE_HZ,
    SLOW_RATE_HZ,
    AlignedTake,
    Grid,
    ImuTrack,
    MocapTrack,
    Quality,
    ScalarTrack,
    VideoTrack,
)
from sensorloom.align.video import frame_interval_ns
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, LabelInterval, TextEvent

__all__ = [
    "decode_take",
    "encode_arrays",
    "encode_attributes",
    "event_rows",
    "finding_row",
    "label_rows",
    "take_row",
]

_CHANNELS = ("acc_x_m_s2", "acc_y_m_s2", "acc_z_m_s2", "gyr_x_rad_s", "gyr_y_rad_s", "gyr_z_rad_s")


def encode_arrays(take: AlignedTake) -> dict[str, NDArray[Any]]:
    """Return the tracks by name.

    Each position has `<position>/values` float32[T,6] and `/quality` uint8[T,2]; each scalar
    `<position>.<kind>/times_ns` int64[N] and `/values` float32[N]; each camera `video.<name>/times_ns` and `/pts`
    int64[F]; the joints `mocap/values` float32[M,J,3] and `/quality` uint8[M,J].
    """
    arrays: dict[str, NDArray[Any]] = {}
    for track in take.imu:
        arrays[f"{track.position}/values"] = track.values
        arrays[f"{track.position}/quality"] = track.quality
    for scalar in take.scalars:
        name = _scalar(scalar.position, scalar.kind)
        arrays[f"{name}/times_ns"] = scalar.times_ns
        arrays[f"{name}/values"] = scalar.values
    for video in take.videos:
        arrays[f"video.{video.name}/times_ns"] = video.times_ns
        arrays[f"video.{video.name}/pts"] = video.pts
    if take.mocap is not None:
        arrays["mocap/values"] = take.mocap.values
        arrays["mocap/quality"] = take.mocap.quality
    return arrays


def encode_attributes(take: AlignedTake) -> dict[str, Any]:
    """Return everything else about the take as JSON, so that its shard explains itself."""
    return {
        **_identity(take),
        "rate_hz": GRID_RATE_HZ,
        "channels": list(_CHANNELS),
        "quality_codes": {quality.name.lower(): int(quality) for quality in Quality},
        "grid": asdict(take.grid),
        "imu": [{"position": track.position, "device": track.device} for track in take.imu],
        "scalars": [
            {"kind": track.kind, "position": track.position, "unit": track.unit} for track in take.scalars
        ],
        "videos": [_without_arrays(video) for video in take.videos],
        "mocap": None if take.mocap is None else _without_arrays(take.mocap),
        "events": [_plain(event) for event in take.events],
        "labels": [asdict(label) for label in take.labels],
        "breaks": [asdict(pause) for pause in take.breaks],
        "clock_maps": [_plain(clock) for clock in take.clock_maps],
        "facts": dict(take.facts),
    }


def decode_take(arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> AlignedTake:
    """Rebuild the take, its findings aside; tracks are the arrays as they are, memory maps included.

    A shard written before takes had videos, mocap and texts has none.
    """
    return AlignedTake(
        take_id=attributes["take_id"],
        dataset=attributes["dataset"],
        capture_id=attributes["capture_id"],
        participant_id=attributes["participant_id"],
        official_split=attributes["official_split"],
        grid=Grid(**attributes["grid"]),
        imu=tuple(_imu(track, arrays) for track in attributes["imu"]),
        scalars=tuple(_scalar_track(track, arrays) for track in attributes["scalars"]),
        videos=tuple(_video_track(track, arrays) for track in attributes.get("videos", ())),
        mocap=_mocap_track(attributes.get("mocap"), arrays),
        events=tuple(TextEvent(**event) for event in attributes.get("events", ())),
        labels=tuple(LabelInterval(**label) for label in attributes["labels"]),
        breaks=tuple(Interval(**pause) for pause in attributes["breaks"]),
        clock_maps=tuple(_clock_map(clock) for clock in attributes["clock_maps"]),
        facts=attributes["facts"],
    )


def _identity(take: AlignedTake) -> dict[str, str | None]:
    return {
        "take_id": take.take_id,
        "dataset": take.dataset,
        "capture_id": take.capture_id,
        "participant_id": take.participant_id,
        "official_split": take.official_split,
    }


def take_row(take: AlignedTake) -> dict[str, Any]:
    """Return the take's row of the `takes` table, without where it came from and what work made it."""
    return {
        **_identity(take),
        "start_ns": take.grid.start_ns,
        "num_samples": take.grid.num_samples,
        "seconds": take.grid.num_samples / GRID_RATE_HZ,
        "streams": [
            {"kind": kind, "position": position, "usable_s": usable_s}
            for kind, position, usable_s in _streams(take)
            if usable_s > 0
        ],
        "facts": [{"name": name, "value": value} for name, value in sorted(take.facts.items())],
    }


def label_rows(take: AlignedTake) -> tuple[dict[str, Any], ...]:
    """Return the take's rows of the `labels` table."""
    return tuple({"take_id": take.take_id, **asdict(label)} for label in take.labels)


def event_rows(take: AlignedTake) -> tuple[dict[str, Any], ...]:
    """Return the take's rows of the `events` table: its texts on the take clock, each with an id inside the take."""
    return tuple(
        {
            "take_id": take.take_id,
            "event_id": event_id,
            "source": event.source,
            "start_ns": event.start_ns,
            "stop_ns": event.stop_ns,
            "text": event.text,
            "annotator": event.annotator,
            "uncertainty_ns": event.uncertainty_ns,
            "tags": [{"name": name, "value": value} for name, value in sorted(event.tags.items())],
        }
        for event_id, event in zip(event_ids(take.events), take.events, strict=True)
    )


def finding_row(finding: Finding, stage: str, take_id: str) -> dict[str, Any]:
    """Return a finding as a row of the `findings` table."""
    numbers = [{"name": name, "value": float(value)} for name, value in sorted(finding.numbers.items())]
    return {
        "stage": stage,
        "target": finding.target,
        "take_id": take_id,
        "dataset": take_id.partition("/")[0],
        "rule": finding.rule,
        "severity": finding.severity,
        "sentence": finding.sentence,
        "numbers": numbers,
    }


def _imu(track: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> ImuTrack:
    position = track["position"]
    return ImuTrack(position, track["device"], arrays[f"{position}/values"], arrays[f"{position}/quality"])


def _scalar_track(track: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> ScalarTrack:
    name = _scalar(track["position"], track["kind"])
    return ScalarTrack(**track, times_ns=arrays[f"{name}/times_ns"], values=arrays[f"{name}/values"])


def _video_track(track: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> VideoTrack:
    name = f"video.{track['name']}"
    rest = {**track, "time_base": tuple(track["time_base"])}
    return VideoTrack(**rest, times_ns=arrays[f"{name}/times_ns"], pts=arrays[f"{name}/pts"])


def _mocap_track(track: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]]) -> MocapTrack | None:
    if track is None:
        return None
    rest = {**track, "joints": tuple(track["joints"])}
    return MocapTrack(**rest, values=arrays["mocap/values"], quality=arrays["mocap/quality"])


def _clock_map(clock: Mapping[str, Any]) -> ClockMap:
    return ClockMap(
        **{**clock, "knots": tuple((source, target) for source, target in clock.get("knots", ()))}
    )


def _plain(record: ClockMap | TextEvent | VideoTrack | MocapTrack) -> dict[str, Any]:
    """Return the fields by name, as they are: `asdict` would copy every knot of a clock on its own."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _without_arrays(track: VideoTrack | MocapTrack) -> dict[str, Any]:
    return {name: value for name, value in _plain(track).items() if not isinstance(value, np.ndarray)}


def _scalar(position: str, kind: str) -> str:
    return f"{position}.{kind}"


def _streams(take: AlignedTake) -> list[tuple[str, str, float]]:
    """Return kind, position and usable seconds of every stream; a camera's position is its name."""
    streams: list[tuple[str, str, float]] = []
    for track in take.imu:
        # Column by column: counting along an axis is ten times slower.
        for kind, codes in zip(("accelerometer", "gyroscope"), track.quality.T, strict=True):
            streams.append((kind, track.position, int(np.count_nonzero(codes)) / GRID_RATE_HZ))
    streams += [(track.kind, track.position, _span_s(track.times_ns)) for track in take.scalars]
    streams += [("video", track.name, _shown_s(track.times_ns)) for track in take.videos]
    if take.mocap is not None:
        rows = np.count_nonzero((take.mocap.quality != Quality.INVALID).any(axis=1))
        streams.append(("mocap", take.mocap.source, int(rows) / SLOW_RATE_HZ))
    return streams


def _shown_s(times_ns: NDArray[np.int64]) -> float:
    """Return how long frames are shown, each for the median interval: what is missing between them does not count."""
    return len(times_ns) * frame_interval_ns(times_ns) / NS_PER_S


def _span_s(times_ns: NDArray[np.int64]) -> float:
    return int(times_ns[-1] - times_ns[0]) / NS_PER_S if len(times_ns) else 0.0
