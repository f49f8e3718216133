"""Video on the take clock: when each frame is shown, and which frame shows an instant.

Times come from each frame's own stamp, never from a frame rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.align.timeline import VideoTrack
from sensorloom.ingest.take import NS_PER_MS, NS_PER_S, Finding, VideoStream, counted

__all__ = ["FRAME_TOLERANCE_NS", "align_video", "frame_interval_ns", "select_frames"]

FRAME_TOLERANCE_NS = 50 * NS_PER_MS
"""Farthest that a frame may lie from the instant that it stands for: half the step of 10 frames/s."""


def align_video(stream: VideoStream, clock: ClockMap, take_id: str) -> tuple[VideoTrack, tuple[Finding, ...]]:
    """Carry the frames of one camera to the take clock; those not after the one before are left out and found."""
    times_ns = clock.apply(stream.times_ns)
    keep = np.append(True, times_ns[1:] > np.maximum.accumulate(times_ns)[:-1])[: len(times_ns)]
    track = VideoTrack(
        name=stream.name,
        view=stream.view,
        uri=stream.uri,
        rendition=stream.rendition,
        time_base=stream.time_base,
        width_px=stream.width_px,
        height_px=stream.height_px,
        is_stereo=stream.is_stereo,
        times_ns=times_ns[keep],
        pts=stream.pts[keep],
    )
    dropped = len(keep) - int(keep.sum())
    if not dropped:
        return track, ()
    first = times_ns[int(np.argmin(keep))]
    sentence = (
        f"{counted(dropped, 'frame')} of {len(keep)} shown no later than the one before, the first at"
        f" {first / NS_PER_S:.3f} s of the take; left out"
    )
    numbers = {"frames": dropped, "share": dropped / len(keep), "first_s": float(first) / NS_PER_S}
    return track, (Finding(f"{take_id}#{stream.name}", "frame-times-repeat", "warning", sentence, numbers),)


def frame_interval_ns(times_ns: NDArray[np.int64]) -> int:
    """Return the median interval of increasing frame times int64[F] ns, for which the last is shown; 0 of one."""
    return int(np.median(np.diff(times_ns))) if len(times_ns) > 1 else 0


def select_frames(
    times_ns: NDArray[np.int64], instants_ns: NDArray[np.int64], tolerance_ns: int = FRAME_TOLERANCE_NS
) -> NDArray[np.int64]:
    """Return the index int64[n] of the frame nearest to each instant int64[n], -1 where none is within the tolerance.

    `times_ns` int64[F] increase. Of two equally near the earlier is taken.
    """
    if len(times_ns) == 0:
        return np.full(len(instants_ns), -1, np.int64)
    after = np.searchsorted(times_ns, instants_ns)
    left, right = np.maximum(after - 1, 0), np.minimum(after, len(times_ns) - 1)
    to_left, to_right = np.abs(instants_ns - times_ns[left]), np.abs(times_ns[right] - instants_ns)
    nearest = np.where(to_left <= to_right, left, right)
    chosen: NDArray[np.int64] = np.where(np.minimum(to_left, to_right) <= tolerance_ns, nearest, -1)
    return chosen
