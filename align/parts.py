"""What a take consists of on its one clock, before there is a grid: streams re-timed, videos, and joints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.align.errors import TakeError
from sensorloom.align.islands import Extent
from sensorloom.align.mocap import align_mocap
from sensorloom.align.retime import Retimed, retime
from sensorloom.align.timeline import SLOW_STEP_NS, Grid, MocapTrack, VideoTrack
from sensorloom.align.video import align_video, frame_interval_ns
from sensorloom.ingest.take import NS_PER_S, Finding, MocapStream, SensorStream, Take

__all__ = ["IMU_KINDS", "LONGEST_TAKE_NS", "Parts", "Timed", "place_parts"]

IMU_KINDS = ("accelerometer", "gyroscope")

LONGEST_TAKE_NS = 24 * 3600 * NS_PER_S
"""A take is held in memory whole: 0.4 GB a position for a day. Beyond it a stamp is wrong, not the take long."""

_CAMERA_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Timed:
    """A stream whose stamps are strictly increasing and on the take clock; lost samples are NaN."""

    stream: SensorStream
    stamps: Retimed

    @property
    def name(self) -> str:
        """Name of the stream inside its take."""
        return self.stream.name

    @property
    def is_imu(self) -> bool:
        """Whether it is an accelerometer or a gyroscope."""
        return self.stream.kind in IMU_KINDS


@dataclass(frozen=True, slots=True)
class Parts:
    """What a take consists of on its one clock, before there is a grid."""

    streams: tuple[Timed, ...]
    videos: tuple[VideoTrack, ...]
    mocap: MocapTrack | None

    @property
    def imu(self) -> tuple[Timed, ...]:
        """The accelerometers and gyroscopes."""
        return tuple(timed for timed in self.streams if timed.is_imu)

    def without(self, names: frozenset[str]) -> Parts:
        """Return the parts but those of these names."""
        return Parts(
            tuple(timed for timed in self.streams if timed.name not in names),
            tuple(video for video in self.videos if video.name not in names),
            None if "mocap" in names else self.mocap,
        )

    def extents(self) -> list[Extent]:
        """Return from when to when each part reaches."""
        extents = [_extent(timed.name, timed.stamps.times_ns, timed.is_imu) for timed in self.streams]
        extents += [
            _extent(video.name, video.times_ns, False) for video in self.videos if len(video.times_ns)
        ]
        if self.mocap is not None:
            rows = len(self.mocap.values)
            last_ns = self.mocap.start_ns + (rows - 1) * SLOW_STEP_NS
            extents.append(Extent("mocap", self.mocap.start_ns, last_ns, rows, False))
        return extents

    def grid(self) -> Grid:
        """Return the grid over all samples, and over frames and rows of joints as long as they last."""
        spans = [(int(timed.stamps.times_ns[0]), int(timed.stamps.times_ns[-1])) for timed in self.imu]
        for video in self.videos:
            if len(video.times_ns):
                shown_ns = max(1, frame_interval_ns(video.times_ns))
                spans.append((int(video.times_ns[0]), int(video.times_ns[-1]) + shown_ns - 1))
        if self.mocap is not None:
            start_ns = self.mocap.start_ns
            spans.append((start_ns, start_ns + len(self.mocap.values) * SLOW_STEP_NS - 1))
        if not spans:
            return Grid(0, 0)
        return Grid.covering(min(first for first, _ in spans), max(last for _, last in spans))


def place_parts(
    take: Take, maps: Mapping[str, ClockMap], joints: MocapStream | None
) -> tuple[Parts, list[Finding]]:
    """Carry streams, videos and joints to the take clock, each on its own; tell what was repaired.

    Raises `TakeError` where two parts have one name, and where one spans more than a day.
    """
    _check_names(take)
    findings: list[Finding] = []
    streams = _retime_streams(take, maps)
    videos = []
    for stream in sorted(take.videos, key=lambda video: (video.view != "ego", video.name)):
        track, repairs = align_video(stream, maps[stream.clock], take.take_id)
        _check_span(take.take_id, stream.name, track.times_ns)
        videos.append(track)
        findings += repairs
    mocap = None
    if joints is not None:
        _check_span(take.take_id, "mocap", maps[joints.clock].apply(joints.times_ns))
        mocap, coverage = align_mocap(joints, maps[joints.clock], take.take_id)
        findings += coverage
    return Parts(tuple(streams), tuple(videos), mocap), findings


def _check_names(take: Take) -> None:
    for noun, names, rule in (
        ("stream", [stream.name for stream in take.streams], "a position has one sensor of a kind"),
        ("video", [video.name for video in take.videos], "a camera has one file"),
        ("mocap stream", [str(mocap.source) for mocap in take.mocap], "a take has one of a source"),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise TakeError(f"{take.take_id}: more than one {noun} is called {twice[0]}; {rule}")
    for video in take.videos:
        if not _CAMERA_NAME.fullmatch(video.name):
            raise TakeError(
                f"{take.take_id}: a camera is called {video.name!r}; only letters, digits and . _ - can name its arrays"
            )


def _retime_streams(take: Take, maps: Mapping[str, ClockMap]) -> list[Timed]:
    """Carry the streams that hold samples to the take clock and re-time them, IMU first.

    Streams that share a stamp array and a clock are carried and re-timed once, and share the result.
    """
    known: list[tuple[SensorStream, Retimed]] = []
    timed = []
    for stream in sorted(take.streams, key=lambda stream: stream.kind not in IMU_KINDS):
        if len(stream.times_ns) == 0:
            continue
        same = (stamps for other, stamps in known if _share_stamps(other, stream))
        stamps = next(same, None)
        if stamps is None:
            stamps = _retime(replace(stream, times_ns=maps[stream.clock].apply(stream.times_ns)))
            known.append((stream, stamps))
        if stamps.lost.any():
            values = stream.values.copy()
            values[stamps.lost] = np.nan
            stream = replace(stream, values=values)
        timed.append(Timed(stream, stamps))
        _check_span(take.take_id, stream.name, stamps.times_ns)
    return timed


def _share_stamps(one: SensorStream, other: SensorStream) -> bool:
    return one.times_ns is other.times_ns and one.clock == other.clock


def _retime(stream: SensorStream) -> Retimed:
    """Re-time one stream; a slow one has no even rate to be spread by, so only stamps out of order are touched."""
    if stream.kind not in IMU_KINDS and (np.diff(stream.times_ns) > 0).all():
        untouched = np.zeros(len(stream.times_ns), np.bool_)
        return Retimed(stream.times_ns, untouched, untouched)
    return retime(stream.times_ns, stream.nominal_rate_hz)


def _extent(name: str, times_ns: NDArray[np.int64], is_imu: bool) -> Extent:
    return Extent(name, int(times_ns[0]), int(times_ns[-1]), len(times_ns), is_imu)


def _check_span(take_id: str, name: str, times_ns: NDArray[np.int64]) -> None:
    """Refuse a part whose stamps, re-timed, still span more than a take can: its grid would fill the memory."""
    if len(times_ns) == 0:
        return
    # As Python integers: stamps this wrong may be further apart than int64 holds.
    first, last = int(times_ns[0]), int(times_ns[-1])
    if last - first > LONGEST_TAKE_NS:
        row = int(np.argmax(np.diff(times_ns.astype(np.float64))))
        raise TakeError(
            f"{take_id}: {name} spans {(last - first) / (3600 * NS_PER_S):.1f} h, a take may last"
            f" {LONGEST_TAKE_NS // (3600 * NS_PER_S)} h: the stamp of sample {row + 1} ({times_ns[row + 1]} ns) lies"
            f" far from that before it ({times_ns[row]} ns); the clock was set, mend or cut the file there"
        )
