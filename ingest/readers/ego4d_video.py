"""The canonical video of an Ego4D take: when its frames are shown, and what they contradict.

Components trimmed, re-encoded and joined, at a constant 30 frames/s (docs/data/videos.md): frame i is shown at i/30 s
of canonical time, whatever the stream's own start is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.checks_video import video_findings
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, ClockAnchors, Finding, VideoStream, counted
from sensorloom.ingest.video import read_video_table
from sensorloom.ingest.video_table import VideoTable

__all__ = ["CAMERA", "ClaimedVideo", "VideoRead", "read_video"]

CAMERA = "ego"
FRAMES_PER_S = 30
_PRESENTATION = f"{CAMERA}/presentation"
_HALF_A_FRAME_NS = NS_PER_S / FRAMES_PER_S / 2
# Durations in the metadata are of streams whose ends differ by a frame or two.
_LENGTH_TOLERANCE_S = 0.1


@dataclass(frozen=True, slots=True)
class ClaimedVideo:
    """What the metadata says of the video; `rendition` is the folder that the file lies in."""

    rendition: str
    duration_s: float
    num_frames: int | None
    is_stereo: bool


@dataclass(frozen=True, slots=True)
class VideoRead:
    """The video, how its clock becomes canonical time, and what is doubtful about it."""

    stream: VideoStream
    anchors: ClockAnchors
    findings: tuple[Finding, ...]


def read_video(path: Path, uri: str, claimed: ClaimedVideo, take_id: str) -> VideoRead:
    """Read when the frames of the file `uri` at `path` are shown. Raises `RawFileError` where it cannot be read."""
    table = read_video_table(path, uri)
    target = f"{take_id}#{CAMERA}"
    stream = VideoStream(
        name=CAMERA,
        view="ego",
        uri=uri,
        rendition=claimed.rendition.removeprefix("video_").removesuffix("_scale"),
        clock=_PRESENTATION,
        times_ns=table.times_ns,
        pts=table.pts,
        time_base=table.time_base,
        width_px=table.width_px,
        height_px=table.height_px,
        is_stereo=claimed.is_stereo,
    )
    anchors, doubts = _anchors(table, target)
    findings = (*video_findings(table, target), *_length_findings(table, claimed, target), *doubts)
    return VideoRead(stream, anchors, findings)


def _anchors(table: VideoTable, target: str) -> tuple[ClockAnchors, tuple[Finding, ...]]:
    """Return frame i at i/30 s; where the stamps contradict that, they are believed from the first frame on."""
    numbers = _frame_numbers(table)
    canonical_ns: NDArray[np.int64] = np.rint(numbers * (NS_PER_S / FRAMES_PER_S)).astype(np.int64)
    times_ns = table.times_ns
    start_ns = int(times_ns[0] - canonical_ns[0])
    findings: list[Finding] = []
    if start_ns:
        start_ms = start_ns / NS_PER_MS
        sentence = f"the stream starts at {start_ms:g} ms; its first frame is canonical time 0 all the same"
        findings.append(Finding(target, "video-start", "note", sentence, {"start_ms": start_ms}))
    off_ns = np.abs(times_ns - start_ns - canonical_ns)
    if off_ns.max() <= _HALF_A_FRAME_NS:
        rule = f"canonical video: constant {FRAMES_PER_S} frames/s"
        return ClockAnchors(_PRESENTATION, "canonical", times_ns, canonical_ns, rule), tuple(findings)
    first, largest_ms = int(np.argmax(off_ns > _HALF_A_FRAME_NS)), float(off_ns.max()) / NS_PER_MS
    sentence = (
        f"frames are shown up to {largest_ms:g} ms from {FRAMES_PER_S} frames/s, first frame {first}; their own stamps"
        " are believed"
    )
    numbers_told = {"first_frame": first, "largest_off_ms": largest_ms}
    findings.append(Finding(target, "video-rate", "warning", sentence, numbers_told))
    rule = "first frame of the canonical video is time 0, the others by their own stamps"
    return ClockAnchors(_PRESENTATION, "canonical", times_ns[:1], canonical_ns[:1], rule), tuple(findings)


def _frame_numbers(table: VideoTable) -> NDArray[np.int64]:
    """Return which frame of the whole video each one is: those that are lost or do not decode count too."""
    numbers = np.arange(table.num_frames, dtype=np.int64)
    if table.lost_frames:
        # Where a file is cut, frames are missing between those that they were stored after: only stamps tell.
        since_ns = table.times_ns - table.times_ns[0]
        numbers = np.rint(since_ns * (FRAMES_PER_S / NS_PER_S)).astype(np.int64)
    return numbers + table.undecodable_frames


def _length_findings(table: VideoTable, claimed: ClaimedVideo, target: str) -> Iterator[Finding]:
    """Compare what the file claims to hold with the metadata; a cut file is told of elsewhere."""
    frames, seconds = table.expected_frames, table.expected_frames / FRAMES_PER_S
    differs = claimed.num_frames is not None and claimed.num_frames != frames
    if differs or abs(seconds - claimed.duration_s) > _LENGTH_TOLERANCE_S:
        of = "" if claimed.num_frames is None else f"{claimed.num_frames} frames and "
        held = f"{counted(frames, 'frame')} ({seconds:g} s)"
        sentence = f"the file has {held}, the metadata says {of}{claimed.duration_s:g} s"
        numbers = {"frames": frames, "duration_s": seconds, "claimed_duration_s": claimed.duration_s}
        if claimed.num_frames is not None:
            numbers["claimed_frames"] = claimed.num_frames
        yield Finding(target, "video-length", "warning", sentence, numbers)
