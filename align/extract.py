"""Windows → arrays: what a shard of a view holds of the sensors, cameras and motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.coverage import covered, usable_codes
from sensorloom.align.instants import NUM_JOINTS, camera_tracks, frames_of, motion_of, slot_cameras
from sensorloom.align.lattice import Lattice, Piece, convert
from sensorloom.align.mocap import root_centred
from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_STEP_NS, AlignedTake, Grid, ImuTrack, Quality
from sensorloom.align.view import View
from sensorloom.align.window import Window
from sensorloom.ingest.take import check_array

__all__ = ["WindowArrays", "extract"]


@dataclass(frozen=True, slots=True)
class WindowArrays:
    """The samples of n windows in S slots at the view's rate, and what goes with them.

    `imu` float32[n, S, 6, T] is accelerometer then gyroscope xyz, 0.0 where not valid; `valid`
    bool[n, S, 2, T]; `present` bool[n, S, 2], whether the sensor is there and covers enough of the window.

    With C cameras: `frames` int32[n, C, F] are the frames at the window's F instants, as places in the camera's own
    frames, -1 where none is near; `video_present` bool[n, V] tells of the view's video slots, which are the cameras
    unless exo cameras share one: that is there where any of them is. With mocap: `mocap` float32[n, F, J, 3] in metres,
    0.0 where `mocap_valid` bool[n, F, J] is False. F is 10 every second; what a view does not have is None.
    """

    imu: NDArray[np.float32]
    valid: NDArray[np.bool_]
    present: NDArray[np.bool_]
    frames: NDArray[np.int32] | None = None
    video_present: NDArray[np.bool_] | None = None
    mocap: NDArray[np.float32] | None = None
    mocap_valid: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        count, slots, _, samples = self.imu.shape
        check_array("imu", self.imu, np.float32, (count, slots, 6, samples))
        check_array("valid", self.valid, np.bool_, (count, slots, 2, samples))
        check_array("present", self.present, np.bool_, (count, slots, 2))
        if self.frames is not None and self.video_present is not None:
            check_array("frames", self.frames, np.int32, (count, None, None))
            check_array("video_present", self.video_present, np.bool_, (count, None))
        if self.mocap is not None and self.mocap_valid is not None:
            rows, joints = self.mocap.shape[1:3]
            check_array("mocap", self.mocap, np.float32, (count, rows, joints, 3))
            check_array("mocap_valid", self.mocap_valid, np.bool_, (count, rows, joints))

    def __repr__(self) -> str:
        return f"WindowArrays(imu {list(self.imu.shape)})"

    @property
    def named(self) -> dict[str, NDArray[Any]]:
        """The arrays that are there by the names under which a shard holds them."""
        arrays = {
            "imu": self.imu,
            "imu_valid": self.valid,
            "imu_present": self.present,
            "frames": self.frames,
            "video_present": self.video_present,
            "mocap": self.mocap,
            "mocap_valid": self.mocap_valid,
        }
        return {name: array for name, array in arrays.items() if array is not None}


def extract(aligned: AlignedTake, view: View, windows: Sequence[Window]) -> WindowArrays:
    """Copy the samples of `windows` at the view's rate; below 200 Hz each track is decimated, anti-aliased.

    A decimated sample is valid where its centre sample is usable; a sensor that covers too little of a window is
    masked throughout it. Raises `ValueError` for a window of another take or off the view's instants.
    """
    starts = _starts(aligned, view, windows)
    shape = (len(windows), len(view.positions))
    imu = np.zeros((*shape, 6, view.samples), np.float32)
    valid = np.zeros((*shape, 2, view.samples), np.bool_)
    present = np.zeros((*shape, 2), np.bool_)
    tracks = {track.position: track for track in aligned.imu}
    usable = usable_codes(view)
    for slot, position in enumerate(view.positions):
        track = tracks.get(position)
        if track is None or not len(windows):
            continue
        # Sensor by sensor: `any` stops at the first usable sample, along an axis it never does.
        present[:, slot] = [(codes != Quality.INVALID).any() for codes in track.quality.T]
        values, codes = _at_rate(track, aligned.grid, view)
        for row, start in enumerate(starts):
            imu[row, slot] = values[start : start + view.samples].T
            valid[row, slot] = usable[codes[start : start + view.samples]].T
    scant = present & ~covered(np.array([window.coverage for window in windows]).reshape(present.shape), view)
    present &= ~scant
    if scant.any():
        valid &= present[..., None]
    if scant.any() or not usable[1:].all():
        np.multiply(imu, np.repeat(valid, 3, axis=2), out=imu)
    frames, video_present = _video(aligned, view, windows)
    mocap, mocap_valid = _motion(aligned, view, windows)
    return WindowArrays(imu, valid, present, frames, video_present, mocap, mocap_valid)


def _video(
    aligned: AlignedTake, view: View, windows: Sequence[Window]
) -> tuple[NDArray[np.int32] | None, NDArray[np.bool_] | None]:
    if not view.cameras:
        return None, None
    starts_ns = np.array([window.start_ns for window in windows], np.int64)
    frames = np.full((len(windows), len(view.cameras), view.slow_samples), -1, np.int32)
    for slot, video in enumerate(camera_tracks(aligned, view)):
        if video is not None:
            frames[:, slot] = frames_of(video, starts_ns, view.slow_samples)
    present = np.array([window.video_present for window in windows], np.bool_)
    return frames, _of_slots(present.reshape(len(windows), len(view.cameras)), view)


def _of_slots(present: NDArray[np.bool_], view: View) -> NDArray[np.bool_]:
    """Return bool[n, V] of the video slots from bool[n, C] of the cameras."""
    return np.stack([present[:, cameras].any(axis=1) for cameras in slot_cameras(view)], axis=1)


def _motion(
    aligned: AlignedTake, view: View, windows: Sequence[Window]
) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    """A view without mocap has none; a take without has none that is valid."""
    if view.mocap == "none":
        return None, None
    if aligned.mocap is None:
        empty = (len(windows), view.slow_samples, NUM_JOINTS)
        return np.zeros((*empty, 3), np.float32), np.zeros(empty, np.bool_)
    starts_ns = np.array([window.start_ns for window in windows], np.int64)
    values, valid = motion_of(aligned.mocap, starts_ns, view.slow_samples)
    return (values, valid) if view.mocap == "world" else root_centred(values, valid, aligned.mocap.joints)


def _starts(aligned: AlignedTake, view: View, windows: Sequence[Window]) -> list[int]:
    """Return the first sample of each window at the view's rate, counted from the view's first instant."""
    offset = _first_instant(aligned.grid, view)
    step = GRID_STEP_NS * view.decimation
    starts = []
    for window in windows:
        start, rest = divmod(window.start_ns - aligned.grid.start_ns - offset * GRID_STEP_NS, step)
        inside = aligned.grid.start_ns <= window.start_ns and window.stop_ns <= aligned.grid.stop_ns
        if (
            window.take_id != aligned.take_id
            or rest
            or not inside
            or window.stop_ns - window.start_ns != view.samples * step
        ):
            raise ValueError(
                f"window {window.window_id} was not cut from {aligned.take_id} by view {view.name}"
            )
        starts.append(start)
    return starts


def _first_instant(grid: Grid, view: View) -> int:
    """Return the index of the grid's first sample on a multiple of the view's own step."""
    return -(grid.start_ns // GRID_STEP_NS) % view.decimation


def _at_rate(track: ImuTrack, grid: Grid, view: View) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return values float32[N, 6] and codes uint8[N, 2] of a track at the view's rate and instants."""
    if view.decimation == 1:
        return track.values, track.quality
    offset, factor = _first_instant(grid, view), view.decimation
    codes = track.quality[offset::factor]
    values = np.zeros((len(codes), 6), np.float32)
    same = np.array_equal(track.quality[:, 0], track.quality[:, 1])
    for sensor, columns in ((0, slice(0, 6)),) if same else ((0, slice(0, 3)), (1, slice(3, 6))):
        starts, stops = find_runs(track.quality[:, sensor] != Quality.INVALID)
        pieces = [
            Piece(start, stop, -((offset - start) // factor), -((offset - stop) // factor))
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
        pieces = [piece for piece in pieces if piece.first < piece.last]
        source, target = Lattice(0, GRID_STEP_NS), Lattice(offset * GRID_STEP_NS, factor * GRID_STEP_NS)
        convert(track.values[:, columns], source, pieces, target, values[:, columns])
    return values, codes
