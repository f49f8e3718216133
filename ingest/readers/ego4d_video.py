"""The canonical video of an Ego4D take: when its frames are shown, and what they contradict.

Components trimmed, re-encoded and joined, at a constant 30 frames/s (docs/data/videos.md): frame i is shown at i/30 s
of canonical time, whatever the stream's own start is. Redacted frames are blank: no pictures, so they are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.checks_video import video_findings
from sensorloom.ingest.frames import FRAMES_PER_S, frame_numbers, frame_times_ns, off_rate
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, ClockAnchors, Finding, Interval, VideoStream, counted
from sensorloom.ingest.video import read_video_table
from sensorloom.ingest.video_table import VideoTable

__all__ = ["CAMERA", "ClaimedVideo", "VideoRead", "read_video"]

CAMERA = "ego"
_PRESENTATION = f"{CAMERA}/presentation"
_HALF_A_FRAME_NS = NS_PER_S // (2 * FRAMES_PER_S)
# Durations in the metadata are of streams whose ends differ by a frame or two.
_LENGTH_TOLERANCE_S = 0.1


@dataclass(frozen=True, slots=True)
class ClaimedVideo:
    """What the metadata says of the video; `rendition` is the folder that the file lies in.

    `redacted` are the intervals of canonical time in which the picture is blank.
    """

    rendition: str
    duration_s: float
    num_frames: int | None
    is_stereo: bool
    redacted: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class VideoRead:
    """The video, how its clock becomes canonical time, and what is doubtful about it.

    `stream` lacks the `num_blank` frames that are shown in redacted intervals; `anchors` have those too.
    """

    stream: VideoStream
    anchors: ClockAnchors
    num_blank: int
    findings: tuple[Finding, ...]


def read_video(path: Path, uri: str, claimed: ClaimedVideo, take_id: str) -> VideoRead:
    """Read when the frames of the file `uri` at `path` are shown. Raises `RawFileError` where it cannot be read."""
    table = read_video_table(path, uri)
    target = f"{take_id}#{CAMERA}"
    anchors, doubts = _anchors(table, target)
    is_seen = ~_is_blank(table, anchors, claimed.redacted)
    stream = VideoStream(
        name=CAMERA,
        view="ego",
        uri=uri,
        rendition=claimed.rendition.removeprefix("video_").removesuffix("_scale"),
        clock=_PRESENTATION,
        times_ns=table.times_ns[is_seen],
        pts=table.pts[is_seen],
        time_base=table.time_base,
        width_px=table.width_px,
        height_px=table.height_px,
        is_stereo=claimed.is_stereo,
    )
    findings = (*video_findings(table, target), *_length_findings(table, claimed, target), *doubts)
    return VideoRead(stream, anchors, int(np.count_nonzero(~is_seen)), findings)


def _is_blank(table: VideoTable, anchors: ClockAnchors, redacted: tuple[Interval, ...]) -> NDArray[np.bool_]:
    """Tell bool[F] which frames are redacted: those from the frame nearest to a start to before that of the end."""
    # One anchor for each frame; or the first alone, and the others are as far behind it as their stamps say.
    canonical_ns = table.times_ns - anchors.source_ns + anchors.target_ns
    is_blank = np.zeros(table.num_frames, np.bool_)
    for part in redacted:
        is_blank |= (canonical_ns >= part.start_ns - _HALF_A_FRAME_NS) & (
            canonical_ns < part.stop_ns - _HALF_A_FRAME_NS
        )
    return is_blank


def _anchors(table: VideoTable, target: str) -> tuple[ClockAnchors, tuple[Finding, ...]]:
    """Return frame i at i/30 s; where the stamps contradict that, they are believed from the first frame on."""
    canonical_ns = frame_times_ns(frame_numbers(table))
    times_ns = table.times_ns
    start_ns = int(times_ns[0] - canonical_ns[0])
    findings: list[Finding] = []
    if start_ns:
        start_ms = start_ns / NS_PER_MS
        sentence = f"the stream starts at {start_ms:g} ms; its first frame is canonical time 0 all the same"
        findings.append(Finding(target, "video-start", "note", sentence, {"start_ms": start_ms}))
    off = off_rate(table)
    if off is None:
        rule = f"canonical video: constant {FRAMES_PER_S} frames/s"
        return ClockAnchors(_PRESENTATION, "canonical", times_ns, canonical_ns, rule), tuple(findings)
    sentence = (
        f"frames are shown up to {off.largest_ms:g} ms from {FRAMES_PER_S} frames/s, first frame {off.first_frame};"
        " their own stamps are believed"
    )
    numbers = {"first_frame": off.first_frame, "largest_off_ms": off.largest_ms}
    findings.append(Finding(target, "video-rate", "warning", sentence, numbers))
    rule = "first frame of the canonical video is time 0, the others by their own stamps"
    return ClockAnchors(_PRESENTATION, "canonical", times_ns[:1], canonical_ns[:1], rule), tuple(findings)


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
