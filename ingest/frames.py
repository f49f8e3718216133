"""Which frame of a video of constant rate each picture is, and when frames are, by their number. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_MS, NS_PER_S
from sensorloom.ingest.video_table import VideoTable

__all__ = ["FRAMES_PER_S", "OffRate", "frame_numbers", "frame_times_ns", "off_rate"]

FRAMES_PER_S = 30
"""Of canonical and of frame-aligned videos, and of what is annotated by their frame numbers."""


@dataclass(frozen=True, slots=True)
class OffRate:
    """How far stamps lie from the constant rate at most, and the first picture of a file off by half a frame."""

    largest_ms: float
    first_frame: int


def frame_times_ns(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return round(frame × 10⁹ / 30) int64[N] of frame numbers int64[N], in whole numbers throughout."""
    times_ns: NDArray[np.int64] = (frames * NS_PER_S + FRAMES_PER_S // 2) // FRAMES_PER_S
    return times_ns


def frame_numbers(table: VideoTable) -> NDArray[np.int64]:
    """Return which frame of the whole video each picture of a file is, int64[F]; strictly increasing.

    Those before the first that decodes count. Where frames are missing between others (a cut file lacks some before
    its last ones, as B-frames are stored behind what they are shown before; repeated ones were left out), stamps tell
    which, unless they put two pictures on one number.
    """
    numbers = np.arange(table.num_frames, dtype=np.int64)
    if table.lost_frames or table.repeated_frames:
        shown_ns = table.times_ns - table.times_ns[0]
        by_stamp = np.rint(shown_ns * (FRAMES_PER_S / NS_PER_S)).astype(np.int64)
        if (np.diff(by_stamp) > 0).all():
            numbers = by_stamp
    return numbers + table.undecodable_frames


def off_rate(table: VideoTable) -> OffRate | None:
    """Return where stamps, from the first on, contradict 30 frames/s by more than half a frame; None: nowhere."""
    expected_ns = frame_times_ns(frame_numbers(table))
    off_ns = np.abs((table.times_ns - table.times_ns[0]) - (expected_ns - expected_ns[0]))
    beyond = 2 * FRAMES_PER_S * off_ns > NS_PER_S
    if not beyond.any():
        return None
    return OffRate(float(off_ns.max()) / NS_PER_MS, int(np.argmax(beyond)))
