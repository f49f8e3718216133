"""Windows joined with the pooled vectors of what they show: the video arrays of a triplet shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.best_exo import choose_exo
from sensorloom.align.instants import camera_tracks, slot_cameras
from sensorloom.align.view import View
from sensorloom.align.window import Window
from sensorloom.embed.embedded import EmbeddedTake
from sensorloom.embed.pooling import mean_of_present, pool
from sensorloom.ingest.take import Finding, counted

__all__ = ["join_video", "mean_for_best"]

Arrays = dict[str, NDArray[Any]]


def join_video(
    take: EmbeddedTake, view: View, windows: Sequence[Window], frames: NDArray[np.int32], dim: int
) -> Arrays:
    """Return `video` float16[n, V, dim], `video_present` bool[n, V] and `frames` int32[n, C, F] of n windows.

    `frames` come as places in the narrowed cameras and go as places in their own tracks. A slot is there where the
    windows say that one of its cameras is and its vector has a direction; elsewhere its vector is zero.
    """
    cameras = np.zeros((len(windows), len(view.cameras), dim), np.float16)
    there = np.array([window.video_present for window in windows], np.bool_)
    there = there.reshape(cameras.shape[:2])
    places = np.full(frames.shape, -1, np.int32)
    for slot, track in enumerate(camera_tracks(take.aligned, view)):
        if track is None or track.name not in take.cameras:
            continue
        cached = take.cameras[track.name]
        rows = _lookup(cached.rows, frames[:, slot])
        places[:, slot] = _lookup(cached.places, frames[:, slot])
        cameras[:, slot], has_direction = pool(
            cached.vectors, cached.norms, rows, view.pooling, view.num_frames
        )
        there[:, slot] &= has_direction
    cameras[~there] = 0
    video, present = _slots(take, view, windows, (cameras, there))
    return {"video": video, "video_present": present, "frames": places}


def mean_for_best(take: EmbeddedTake, view: View, windows: Sequence[Window]) -> list[Finding]:
    """Return the finding that in some windows the mean stands in for the best exo camera; none where in none."""
    if view.exo != "best":
        return []
    exo = [place for place, camera in enumerate(view.cameras) if camera != "ego"]
    unchosen = choose_exo(take.aligned, view, windows) < 0
    count = sum(
        any(window.video_present[place] for place in exo)
        for window, is_unchosen in zip(windows, unchosen.tolist(), strict=True)
        if is_unchosen
    )
    if not count:
        return []
    sentence = (
        f"{view.name}: in {counted(count, 'window')} no exo camera that is there was called the best; the mean of"
        " those there stands in"
    )
    return [Finding(take.aligned.take_id, "best-exo-mean", "note", sentence, {"windows": count})]


def _lookup(table: NDArray[np.int64], frames: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return `table[frames]`, -1 where there is no frame."""
    if not len(table):
        return np.full(frames.shape, -1, np.int64)
    return np.where(frames >= 0, table[frames], -1)


def _slots(
    take: EmbeddedTake,
    view: View,
    windows: Sequence[Window],
    of_cameras: tuple[NDArray[np.float16], NDArray[np.bool_]],
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Return vectors [n, V, D] and bool[n, V] of the view's slots from those [n, C, D] and [n, C] of its cameras."""
    cameras, there = of_cameras
    if view.exo == "separate":
        return cameras, there
    video = np.zeros((len(windows), len(view.video_slots), cameras.shape[2]), np.float16)
    present = np.zeros(video.shape[:2], np.bool_)
    for slot, own in enumerate(slot_cameras(view)):
        if view.video_slots[slot] == "ego":
            video[:, slot], present[:, slot] = cameras[:, own[0]], there[:, own[0]]
        else:
            video[:, slot], present[:, slot] = mean_of_present(cameras[:, own], there[:, own])
            if view.exo == "best":
                best = choose_exo(take.aligned, view, windows)
                shown = np.flatnonzero((best >= 0) & there[np.arange(len(windows)), best])
                video[shown, slot], present[shown, slot] = cameras[shown, best[shown]], True
    return video, present
