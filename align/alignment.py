"""A take at native rates → the same take on one clock and one 200 Hz grid, its doubts as findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sensorloom.align.events import place_events
from sensorloom.align.islands import find_islands
from sensorloom.align.mocap import choose_mocap
from sensorloom.align.parts import IMU_KINDS, Timed, place_parts
from sensorloom.align.quality import find_doubts
from sensorloom.align.resample import ResampleSettings, find_present, resample
from sensorloom.align.take_clock import map_clocks
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, ScalarTrack
from sensorloom.ingest.take import Interval, Take

__all__ = ["AlignSettings", "align"]


@dataclass(frozen=True, slots=True)
class AlignSettings:
    """What a user may choose: the longest loss that is bridged, and how a rate below 200 Hz is raised."""

    max_gap_ms: float = 100.0
    upsampling: Literal["band_limited", "linear"] = "band_limited"

    def __post_init__(self) -> None:
        _ = self.resampling  # checks both

    @property
    def resampling(self) -> ResampleSettings:
        """The settings of one sensor's resampling."""
        return ResampleSettings(self.max_gap_ms, self.upsampling)


def align(take: Take, settings: AlignSettings) -> AlignedTake:
    """Bring `take` onto its one clock, and its IMU onto a 200 Hz grid from the earliest sample or frame to the latest.

    Every stamp is carried to the take's clock first; stall-and-burst stamps are re-timed there. Accelerometer and
    gyroscope keep their own stamps up to the grid and meet there, never by row. A sensor that a position lacks is
    INVALID throughout; a take may have no IMU at all. Every repair, loss and doubt becomes a `Finding`. Raises
    `TakeError` where two parts of the take have one name, where a clock's anchors contradict the take's clock, and
    where one part spans more than a day.
    """
    joints, choice = choose_mocap(take.mocap, take.take_id)
    maps, clock_doubts = map_clocks(take, joints)
    parts, repairs = place_parts(take, maps, joints)
    names, islands = find_islands(parts.extents(), take.take_id)
    parts = parts.without(names)
    grid = parts.grid()
    events, outside = place_events(take.events, maps, grid, take.take_id)
    aligned = AlignedTake(
        take_id=take.take_id,
        dataset=take.dataset,
        capture_id=take.capture_id,
        participant_id=take.participant_id,
        official_split=take.official_split,
        grid=grid,
        imu=_tracks(parts.imu, grid, settings.resampling, take.breaks),
        scalars=tuple(_scalar(timed) for timed in parts.streams if not timed.is_imu),
        videos=parts.videos,
        mocap=parts.mocap,
        events=events,
        labels=take.labels,
        breaks=take.breaks,
        clock_maps=tuple(maps.values()),
        facts=take.facts,
    )
    doubts = find_doubts(aligned, {timed.name: timed.stamps for timed in parts.streams}, settings.max_gap_ms)
    found = (*take.findings, *clock_doubts, *choice, *repairs, *islands, *outside, *doubts)
    return replace(aligned, findings=found)


def _tracks(
    streams: Sequence[Timed], grid: Grid, settings: ResampleSettings, breaks: tuple[Interval, ...]
) -> tuple[ImuTrack, ...]:
    positions = dict.fromkeys(timed.stream.position for timed in streams)
    return tuple(_track(position, streams, grid, (settings, breaks)) for position in positions)


def _track(
    position: str, streams: Sequence[Timed], grid: Grid, how: tuple[ResampleSettings, tuple[Interval, ...]]
) -> ImuTrack:
    """Resample the sensors of one position onto the grid, in one pass where they share stamps and losses."""
    settings, breaks = how
    sensors = [timed for timed in streams if timed.stream.position == position]
    device = sensors[0].stream.device
    if len(sensors) == 2 and _share_rows(*sensors):
        ordered = sorted(sensors, key=lambda timed: IMU_KINDS.index(timed.stream.kind))
        stacked = np.concatenate([timed.stream.values for timed in ordered], axis=1)
        stamps = sensors[0].stamps
        values, quality = resample(stamps.times_ns, stacked, stamps.retimed, grid, settings, breaks)
        return ImuTrack(position, device, values, np.repeat(quality[:, None], 2, axis=1))
    values = np.zeros((grid.num_samples, 6), np.float32)
    codes = np.zeros((grid.num_samples, 2), np.uint8)
    for timed in sensors:
        sensor = IMU_KINDS.index(timed.stream.kind)
        resampled = resample(
            timed.stamps.times_ns, timed.stream.values, timed.stamps.retimed, grid, settings, breaks
        )
        values[:, 3 * sensor : 3 * sensor + 3], codes[:, sensor] = resampled
    return ImuTrack(position, device, values, codes)


def _share_rows(one: Timed, other: Timed) -> bool:
    """Tell whether two sensors have the same stamps and miss the same rows, so that one pass serves both."""
    if not np.array_equal(one.stamps.times_ns, other.stamps.times_ns):
        return False
    return np.array_equal(find_present(one.stream.values), find_present(other.stream.values))


def _scalar(timed: Timed) -> ScalarTrack:
    """Keep a slow stream at its own times, without its missing rows and those whose time cannot be told."""
    stream, present = timed.stream, find_present(timed.stream.values)
    return ScalarTrack(
        stream.kind,
        stream.position,
        stream.unit,
        timed.stamps.times_ns[present],
        np.ascontiguousarray(stream.values[present, 0]),
    )
