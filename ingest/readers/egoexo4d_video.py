"""Ego-Exo4D's frame-aligned videos: frame i of every camera of a take is the same instant, i/30 s of the take.

The number of a frame is the truth here, not its presentation stamp (docs: data/takes, overview). Stamps are only what a
decoder finds a frame by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sensorloom.ingest.checks_video import video_findings
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.frames import FRAMES_PER_S, frame_numbers, frame_times_ns, off_rate
from sensorloom.ingest.take import ClockAnchors, Finding, VideoStream
from sensorloom.ingest.video import read_video_table
from sensorloom.ingest.video_table import VideoTable

__all__ = ["CameraFile", "Videos", "read_videos"]


@dataclass(frozen=True, slots=True)
class CameraFile:
    """One camera's file that is to be read."""

    name: str
    view: Literal["ego", "exo"]
    uri: str
    rendition: str


@dataclass(frozen=True, slots=True)
class Videos:
    """What was read: streams by the order of cameras, their clocks, and how many frames each file claims to show."""

    streams: tuple[VideoStream, ...]
    anchors: tuple[ClockAnchors, ...]
    frame_counts: Mapping[str, int]
    findings: tuple[Finding, ...]


def read_videos(root: Path, files: Sequence[CameraFile], take_id: str) -> Videos:
    """Read when each camera's frames are shown; a file that cannot be read is an error finding of its camera."""
    streams: list[VideoStream] = []
    anchors: list[ClockAnchors] = []
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    for file in files:
        target = f"{take_id}#{file.name}"
        try:
            table = read_video_table(root / file.uri, file.uri)
        except RawFileError as error:
            findings.append(Finding(target, "unreadable-file", "error", str(error)))
            continue
        streams.append(_stream(file, table))
        anchors.append(_anchors(file, table))
        counts[file.name] = table.expected_frames
        findings += video_findings(table, target)
        findings += _rate_findings(table, target)
    findings += _between_cameras(files, counts, take_id)
    return Videos(tuple(streams), tuple(anchors), counts, tuple(findings))


def _stream(file: CameraFile, table: VideoTable) -> VideoStream:
    return VideoStream(
        name=file.name,
        view=file.view,
        uri=file.uri,
        rendition=file.rendition,
        clock=_clock(file),
        times_ns=table.times_ns,
        pts=table.pts,
        time_base=table.time_base,
        width_px=table.width_px,
        height_px=table.height_px,
    )


def _clock(file: CameraFile) -> str:
    return f"{file.name}/presentation"


def _anchors(file: CameraFile, table: VideoTable) -> ClockAnchors:
    rule = f"frame i of a frame-aligned video is take time i/{FRAMES_PER_S} s"
    return ClockAnchors(_clock(file), "take", table.times_ns, frame_times_ns(frame_numbers(table)), rule)


def _rate_findings(table: VideoTable, target: str) -> Iterator[Finding]:
    """Tell where the stamps contradict 30 frames/s by more than half a frame."""
    off = off_rate(table)
    if off is not None:
        sentence = (
            f"{table.uri}: frames are shown up to {off.largest_ms:g} ms from {FRAMES_PER_S} frames/s, first frame"
            f" {off.first_frame}; their numbers are believed"
        )
        numbers = {"largest_off_ms": off.largest_ms, "first_frame": off.first_frame}
        yield Finding(target, "video-rate", "warning", sentence, numbers)


def _between_cameras(
    files: Sequence[CameraFile], counts: Mapping[str, int], take_id: str
) -> Iterator[Finding]:
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        sentence = f"the cameras' files differ in frames, though all are frame-aligned: {told}"
        numbers = {"least_frames": min(counts.values()), "most_frames": max(counts.values())}
        yield Finding(take_id, "frame-counts-differ", "warning", sentence, numbers)
    full = sorted(file.name for file in files if file.rendition == "full")
    if 0 < len(full) < len(files):
        sentence = f"{', '.join(full)} are read in full size, the other cameras from downscaled/448"
        yield Finding(
            take_id, "renditions-mixed", "note", sentence, {"full": len(full), "cameras": len(files)}
        )
