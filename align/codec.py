"""The stored form of an aligned take: named arrays, JSON attributes, and the rows that describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.align.timeline import GRID_RATE_HZ, AlignedTake, Grid, ImuTrack, Quality, ScalarTrack
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, LabelInterval

__all__ = ["decode_take", "encode_arrays", "encode_attributes", "finding_row", "label_rows", "take_row"]

_CHANNELS = ("acc_x_m_s2", "acc_y_m_s2", "acc_z_m_s2", "gyr_x_rad_s", "gyr_y_rad_s", "gyr_z_rad_s")


def encode_arrays(take: AlignedTake) -> dict[str, NDArray[Any]]:
    """Return the tracks by name: `<position>/values` float32[T,6], `<position>/quality` uint8[T,2], and for each
    scalar `<position>.<kind>/times_ns` int64[N] and `/values` float32[N].
    """  # noqa: D205
    arrays: dict[str, NDArray[Any]] = {}
    for track in take.imu:
        arrays[f"{track.position}/values"] = track.values
        arrays[f"{track.position}/quality"] = track.quality
    for scalar in take.scalars:
        name = _scalar(scalar.position, scalar.kind)
        arrays[f"{name}/times_ns"] = scalar.times_ns
        arrays[f"{name}/values"] = scalar.values
    return arrays


def encode_attributes(take: AlignedTake) -> dict[str, Any]:
    """Return everything else about the take as JSON, so that its shard explains itself."""
    return {
        "take_id": take.take_id,
        "dataset": take.dataset,
        "capture_id": take.capture_id,
        "participant_id": take.participant_id,
        "official_split": take.official_split,
        "rate_hz": GRID_RATE_HZ,
        "channels": list(_CHANNELS),
        "quality_codes": {quality.name.lower(): int(quality) for quality in Quality},
        "grid": asdict(take.grid),
        "imu": [{"position": track.position, "device": track.device} for track in take.imu],
        "scalars": [
            {"kind": track.kind, "position": track.position, "unit": track.unit} for track in take.scalars
        ],
        "labels": [asdict(label) for label in take.labels],
        "breaks": [asdict(pause) for pause in take.breaks],
        "clock_maps": [asdict(clock) for clock in take.clock_maps],
        "facts": dict(take.facts),
    }


def decode_take(arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> AlignedTake:
    """Rebuild the take, its findings aside; tracks are the arrays as they are, memory maps included."""
    return AlignedTake(
        take_id=attributes["take_id"],
        dataset=attributes["dataset"],
        capture_id=attributes["capture_id"],
        participant_id=attributes["participant_id"],
        official_split=attributes["official_split"],
        grid=Grid(**attributes["grid"]),
        imu=tuple(_imu(track, arrays) for track in attributes["imu"]),
        scalars=tuple(_scalar_track(track, arrays) for track in attributes["scalars"]),
        labels=tuple(LabelInterval(**label) for label in attributes["labels"]),
        breaks=tuple(Interval(**pause) for pause in attributes["breaks"]),
        clock_maps=tuple(ClockMap(**clock) for clock in attributes["clock_maps"]),
        facts=attributes["facts"],
    )


def take_row(take: AlignedTake) -> dict[str, Any]:
    """Return the take's row of the `takes` table, without where it came from and what work made it."""
    return {
        "take_id": take.take_id,
        "dataset": take.dataset,
        "capture_id": take.capture_id,
        "participant_id": take.participant_id,
        "official_split": take.official_split,
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


def _scalar(position: str, kind: str) -> str:
    return f"{position}.{kind}"


def _streams(take: AlignedTake) -> list[tuple[str, str, float]]:
    """Return kind, position and usable seconds of every stream."""
    streams: list[tuple[str, str, float]] = []
    for track in take.imu:
        # Column by column: counting along an axis is ten times slower.
        for kind, codes in zip(("accelerometer", "gyroscope"), track.quality.T, strict=True):
            streams.append((kind, track.position, int(np.count_nonzero(codes)) / GRID_RATE_HZ))
    for scalar in take.scalars:
        span_ns = int(scalar.times_ns[-1] - scalar.times_ns[0]) if len(scalar.times_ns) else 0
        streams.append((scalar.kind, scalar.position, span_ns / NS_PER_S))
    return streams
