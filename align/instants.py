"""What windows hold of the slow streams: the camera frames and mocap rows at their 10 instants a second.

The instants of video are the multiples of 100 ms on the take clock, those of mocap the rows of its track.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.timeline import SLOW_STEP_NS, AlignedTake, MocapTrack, Quality, VideoTrack
from sensorloom.align.video import select_frames
from sensorloom.align.view import CAMERA_SLOTS, View

__all__ = ["NUM_JOINTS", "camera_tracks", "frames_of", "joints_of", "motion_of", "slot_cameras"]

NUM_JOINTS = 17
"""COCO's: what a window of a take without mocap is masked in."""


def camera_tracks(aligned: AlignedTake, view: View) -> list[VideoTrack | None]:
    """Return the video of each of the view's camera slots: the ego camera, exo cameras in the order of their names."""
    exo = sorted((video for video in aligned.videos if video.view == "exo"), key=lambda video: video.name)
    ego = next((video for video in aligned.videos if video.view == "ego"), None)
    slots = dict(zip(CAMERA_SLOTS, (ego, *exo), strict=False))
    return [slots.get(camera) for camera in view.cameras]


def slot_cameras(view: View) -> list[list[int]]:
    """Return, for each of the view's video slots, the places of its cameras in `view.cameras`."""
    if view.exo == "separate":
        return [[place] for place in range(len(view.cameras))]
    return [
        [place for place, camera in enumerate(view.cameras) if (camera == "ego") == (slot == "ego")]
        for slot in view.video_slots
    ]


def frames_of(video: VideoTrack, starts_ns: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """Return int32[n, count]: the frame of `video` nearest to each instant of the windows, -1 where none is near.

    The instants of a window are the first `count` multiples of 100 ms at or after its start.
    """
    first = -(-starts_ns // SLOW_STEP_NS) * SLOW_STEP_NS
    instants = first[:, None] + SLOW_STEP_NS * np.arange(count)
    return select_frames(video.times_ns, instants.ravel()).reshape(instants.shape).astype(np.int32)


def joints_of(
    mocap: MocapTrack, starts_ns: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return rows int64[n, count] of the track in each window, clipped to it, and bool[n, count, J] what is valid.

    A row between annotated ones counts inside the window only: it is valid where the joint is annotated both before
    and after it in the same window [methods §2.3].
    """
    first = -((mocap.start_ns - starts_ns) // SLOW_STEP_NS)
    rows = first[:, None] + np.arange(count)
    inside = (rows >= 0) & (rows < len(mocap.values))
    rows = rows.clip(0, max(0, len(mocap.values) - 1))
    if not len(mocap.values):
        return rows, np.zeros((*rows.shape, len(mocap.joints)), np.bool_)
    codes = np.where(inside[:, :, None], mocap.quality[rows], np.uint8(Quality.INVALID))
    annotated = codes == Quality.VALID
    before = np.logical_or.accumulate(annotated, axis=1)
    after = np.logical_or.accumulate(annotated[:, ::-1], axis=1)[:, ::-1]
    return rows, annotated | ((codes == Quality.INTERPOLATED) & before & after)


def motion_of(
    mocap: MocapTrack, starts_ns: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the joints float32[n, count, J, 3] of each window in metres, 0.0 where bool[n, count, J] is False."""
    rows, valid = joints_of(mocap, starts_ns, count)
    if not len(mocap.values):
        return np.zeros((*valid.shape, 3), np.float32), valid
    return mocap.values[rows] * valid[..., None], valid
