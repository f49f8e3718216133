"""A take at native rates → the same take on one clock and one 200 Hz grid, its doubts as findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.align.errors import TakeError
from sensorloom.align.quality import find_doubts
from sensorloom.align.resample import ResampleSettings, find_present, resample
from sensorloom.align.retime import Retimed, retime
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, ScalarTrack
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, SensorStream, Take

__all__ = ["ISLAND_NS", "LONGEST_TAKE_NS", "AlignSettings", "align"]

IMU_KINDS = ("accelerometer", "gyroscope")

ISLAND_NS = 3600 * NS_PER_S
"""A stream this far from the rest was stamped by a wrong clock and would stretch the grid over nothing."""

LONGEST_TAKE_NS = 24 * 3600 * NS_PER_S
"""A take is held in memory whole: 0.4 GB a position for a day. Beyond it a stamp is wrong, not the take long."""

# What is known of the data sets' clocks: the take's clock, and the rule that carries a device's clock to it.
_CLOCK_RULES = {
    "pamap2": ("device", "identity: one merged device clock stamps all sensors"),
    "realworld": (
        "epoch",
        "taken on trust: each position is a device of its own with an undocumented offset",
    ),
}
_OTHER_CLOCK = ("take", "identity: nothing is known of this data set's clocks")


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


@dataclass(frozen=True, slots=True)
class _Timed:
    """A stream whose stamps are strictly increasing and on the take clock; lost samples are NaN."""

    stream: SensorStream
    stamps: Retimed

    @property
    def name(self) -> str:
        return self.stream.name

    @property
    def is_imu(self) -> bool:
        return self.stream.kind in IMU_KINDS


def align(take: Take, settings: AlignSettings) -> AlignedTake:
    """Bring `take` onto its one clock and a 200 Hz grid from its earliest to its latest sample.

    Stall-and-burst stamps are re-timed first. Accelerometer and gyroscope keep their own stamps up to the
    grid and meet there, never by row. A sensor that a position lacks is INVALID throughout. Every repair,
    loss and doubt becomes a `Finding`. Raises `TakeError` where two streams claim one sensor of one
    position, and where one spans more than a day.
    """
    _check_unique(take)
    target, rule = _CLOCK_RULES.get(take.dataset, _OTHER_CLOCK)
    clocks = sorted({stream.clock for stream in take.streams})
    maps = tuple(ClockMap(source=clock, target=target, rule=rule) for clock in clocks)
    streams, islands = _leave_islands(take, _retime_streams(take))
    imu = [timed for timed in streams if timed.is_imu]
    grid = _covering_grid(imu)
    tracks = tuple(
        _track(position, imu, grid, (settings.resampling, take.breaks))
        for position in dict.fromkeys(timed.stream.position for timed in imu)
    )
    aligned = AlignedTake(
        take_id=take.take_id,
        dataset=take.dataset,
        capture_id=take.capture_id,
        participant_id=take.participant_id,
        official_split=take.official_split,
        grid=grid,
        imu=tracks,
        scalars=tuple(_scalar(timed) for timed in streams if not timed.is_imu),
        labels=take.labels,
        breaks=take.breaks,
        clock_maps=maps,
        facts=take.facts,
    )
    doubts = find_doubts(aligned, {timed.name: timed.stamps for timed in streams}, settings.max_gap_ms)
    return replace(aligned, findings=(*take.findings, *islands, *doubts))


def _check_unique(take: Take) -> None:
    names = [stream.name for stream in take.streams]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TakeError(
            f"{take.take_id}: more than one stream is called {twice[0]}; a position has one sensor of a kind"
        )


def _retime_streams(take: Take) -> list[_Timed]:
    """Re-time the streams that hold samples, IMU first; streams that share a stamp array are re-timed once."""
    known: list[tuple[NDArray[np.int64], Retimed]] = []
    timed = []
    for stream in sorted(take.streams, key=lambda stream: stream.kind not in IMU_KINDS):
        if len(stream.times_ns) == 0:
            continue
        stamps = next((after for before, after in known if before is stream.times_ns), None)
        if stamps is None:
            stamps = _retime(stream)
            known.append((stream.times_ns, stamps))
        if stamps.lost.any():
            values = stream.values.copy()
            values[stamps.lost] = np.nan
            stream = replace(stream, values=values)
        timed.append(_Timed(stream, stamps))
        _check_span(take.take_id, timed[-1])
    return timed


def _retime(stream: SensorStream) -> Retimed:
    """Re-time one stream; a slow one has no even rate to be spread by, so only stamps out of order are touched."""
    if stream.kind not in IMU_KINDS and (np.diff(stream.times_ns) > 0).all():
        untouched = np.zeros(len(stream.times_ns), np.bool_)
        return Retimed(stream.times_ns, untouched, untouched)
    return retime(stream.times_ns, stream.nominal_rate_hz)


def _leave_islands(take: Take, streams: list[_Timed]) -> tuple[list[_Timed], list[Finding]]:
    """Leave out streams more than an hour away from the body of the take, each with a finding."""
    ordered = sorted(streams, key=lambda timed: int(timed.stamps.times_ns[0]))
    groups: list[list[_Timed]] = []
    reach = 0
    for timed in ordered:
        if not groups or timed.stamps.times_ns[0] > reach + ISLAND_NS:
            groups.append([])
        groups[-1].append(timed)
        reach = max(reach, int(timed.stamps.times_ns[-1]))
    if len(groups) < 2:
        return streams, []
    body = max(groups, key=_num_samples)
    start = min(int(timed.stamps.times_ns[0]) for timed in body)
    left = [timed for timed in streams if not any(timed is kept for kept in body)]
    findings = [
        Finding(
            f"{take.take_id}#{timed.name}",
            "clock-island",
            "error",
            "This stream lies over an hour from the rest of the take: its clock was wrong. Left out.",
            {
                "offset_s": (int(timed.stamps.times_ns[0]) - start) / NS_PER_S,
                "samples": len(timed.stamps.times_ns),
            },
        )
        for timed in left
    ]
    return [timed for timed in streams if any(timed is kept for kept in body)], findings


def _num_samples(group: Sequence[_Timed]) -> tuple[int, int]:
    """Return the samples of a group's IMU streams, which decide, and those of all its streams."""
    imu = sum(len(timed.stamps.times_ns) for timed in group if timed.is_imu)
    return imu, sum(len(timed.stamps.times_ns) for timed in group)


def _check_span(take_id: str, timed: _Timed) -> None:
    """Refuse a stream whose stamps, re-timed, still span more than a take can: its grid would fill the memory."""
    times = timed.stamps.times_ns
    # As Python integers: stamps this wrong may be further apart than int64 holds.
    first, last = int(times[0]), int(times[-1])
    if last - first > LONGEST_TAKE_NS:
        row = int(np.argmax(np.diff(times.astype(np.float64))))
        raise TakeError(
            f"{take_id}: {timed.name} spans {(last - first) / (3600 * NS_PER_S):.1f} h, a take may last"
            f" {LONGEST_TAKE_NS // (3600 * NS_PER_S)} h: the stamp of sample {row + 1} ({times[row + 1]} ns) lies"
            f" far from that before it ({times[row]} ns); the clock was set, mend or cut the file there"
        )


def _covering_grid(streams: Sequence[_Timed]) -> Grid:
    if not streams:
        return Grid(0, 0)
    first = min(int(timed.stamps.times_ns[0]) for timed in streams)
    last = max(int(timed.stamps.times_ns[-1]) for timed in streams)
    return Grid.covering(first, last)


def _track(
    position: str, streams: Sequence[_Timed], grid: Grid, how: tuple[ResampleSettings, tuple[Interval, ...]]
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


def _share_rows(one: _Timed, other: _Timed) -> bool:
    """Tell whether two sensors have the same stamps and miss the same rows, so that one pass serves both."""
    if not np.array_equal(one.stamps.times_ns, other.stamps.times_ns):
        return False
    return np.array_equal(find_present(one.stream.values), find_present(other.stream.values))


def _scalar(timed: _Timed) -> ScalarTrack:
    """Keep a slow stream at its own times, without its missing rows and those whose time cannot be told."""
    stream, present = timed.stream, find_present(timed.stream.values)
    return ScalarTrack(
        stream.kind,
        stream.position,
        stream.unit,
        timed.stamps.times_ns[present],
        np.ascontiguousarray(stream.values[present, 0]),
    )
