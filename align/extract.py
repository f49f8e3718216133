"""Windows → arrays: what a shard of a view holds of the sensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.lattice import Lattice, Piece, convert
from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_STEP_NS, AlignedTake, Grid, ImuTrack, Quality
from sensorloom.align.view import View
from sensorloom.align.window import Window, usable_codes
from sensorloom.ingest.take import check_array

__all__ = ["WindowArrays", "extract"]


@dataclass(frozen=True, slots=True)
class WindowArrays:
    """The samples of n windows in S slots at the view's rate.

    `imu` float32[n, S, 6, T] is accelerometer then gyroscope xyz, 0.0 where not valid; `valid`
    bool[n, S, 2, T]; `present` bool[n, S, 2], whether the take has the sensor at all.
    """

    imu: NDArray[np.float32]
    valid: NDArray[np.bool_]
    present: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count, slots, _, samples = self.imu.shape
        check_array("imu", self.imu, np.float32, (count, slots, 6, samples))
        check_array("valid", self.valid, np.bool_, (count, slots, 2, samples))
        check_array("present", self.present, np.bool_, (count, slots, 2))

    def __repr__(self) -> str:
        return f"WindowArrays(imu {list(self.imu.shape)})"


def extract(aligned: AlignedTake, view: View, windows: Sequence[Window]) -> WindowArrays:
    """Copy the samples of `windows` at the view's rate; below 200 Hz each track is decimated, anti-aliased.

    A decimated sample is valid where its centre sample is usable. Raises `ValueError` for a window of
    another take or off the view's instants.
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
    if not usable[1:].all():
        np.multiply(imu, np.repeat(valid, 3, axis=2), out=imu)
    return WindowArrays(imu, valid, present)


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
