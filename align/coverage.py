"""How well the IMU covers windows: usable shares, what the samples are, and accelerometers that stand still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.runs import find_runs
from sensorloom.align.tiles import Tiles
from sensorloom.align.timeline import GRID_RATE_HZ, AlignedTake, ImuTrack, Quality
from sensorloom.align.view import View

__all__ = ["ImuCover", "covered", "imu_cover", "imu_shares", "imu_tracks", "usable_codes"]

_FLAT_ULPS = 32  # of float32: what resampling a constant may leave of a second difference
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ImuCover:
    """Usable shares float64[n, S * 2] of tiles, accelerometer and gyroscope of each slot in turn.

    `present` bool[S * 2] are the sensors that the take has, `flat` bool[n, S] the tiles whose accelerometer does not
    move.
    """

    shares: NDArray[np.float64]
    present: NDArray[np.bool_]
    flat: NDArray[np.bool_]


def usable_codes(view: View) -> NDArray[np.bool_]:
    """Return bool[4], which `Quality` codes count as usable in `view`."""
    usable = np.zeros(len(Quality), np.bool_)
    usable[Quality.VALID] = True
    usable[Quality.RETIMED] = view.retimed_is_valid
    usable[Quality.INTERPOLATED] = view.interpolated_is_valid
    return usable


def covered(shares: NDArray[np.float64], view: View) -> NDArray[np.bool_]:
    """Return where shares reach the view's least coverage; of a sensor the take lacks it says nothing."""
    enough: NDArray[np.bool_] = shares >= view.min_coverage - _ROUNDING
    return enough


def imu_tracks(aligned: AlignedTake, view: View) -> list[ImuTrack | None]:
    """Return the track of each of the view's slots, None where the take has no sample of it."""
    slots = {track.position: track for track in aligned.imu if track.quality.any()}
    return [slots.get(position) for position in view.positions]


def imu_cover(tracks: list[ImuTrack | None], tiles: Tiles, view: View) -> ImuCover:
    """Return how well the sensors of `tracks` cover each tile."""
    usable = usable_codes(view)
    shares = np.zeros((len(tiles.starts), 2 * len(tracks)))
    present = np.zeros(2 * len(tracks), np.bool_)
    flat = np.zeros((len(tiles.starts), len(tracks)), np.bool_)
    for slot, track in enumerate(tracks):
        if track is None:
            continue
        flat[:, slot] = _flat_tiles(track, tiles, view)
        for sensor in range(2):
            if track.quality[:, sensor].any():
                present[2 * slot + sensor] = True
                shares[:, 2 * slot + sensor] = _share(usable[track.quality[:, sensor]], tiles)
    return ImuCover(shares, present, flat)


def imu_shares(tracks: list[ImuTrack | None], tiles: Tiles) -> NDArray[np.float64]:
    """Return float64[n, 3]: shares of valid, re-timed and interpolated samples over all sensors present."""
    sensors = [
        track.quality[:, sensor]
        for track in tracks
        if track is not None
        for sensor in range(2)
        if track.quality[:, sensor].any()
    ]
    shares = np.zeros((len(tiles.starts), 3))
    for column, code in enumerate((Quality.VALID, Quality.RETIMED, Quality.INTERPOLATED)):
        for quality in sensors:
            mask = quality == code
            if mask.any():
                shares[:, column] += _share(mask, tiles) / len(sensors)
    return shares


def _share(mask: NDArray[np.bool_], tiles: Tiles) -> NDArray[np.float64]:
    """Return the share float64[n] of True in `mask` bool[T] inside every tile."""
    total = np.concatenate(([0], np.cumsum(mask, dtype=np.int32)))
    share: NDArray[np.float64] = (total[tiles.starts + tiles.length] - total[tiles.starts]) / tiles.length
    return share


def _flat_tiles(track: ImuTrack, tiles: Tiles, view: View) -> NDArray[np.bool_]:
    """Return bool[n], tiles whose accelerometer stays on one straight line for `max_flat_s` or more."""
    limit = round(view.max_flat_s * GRID_RATE_HZ)
    straight = track.quality[1:-1, 0] != Quality.INVALID
    for axis in range(3):
        force = np.ascontiguousarray(track.values[:, axis])
        bend = np.abs(force[2:] - 2 * force[1:-1] + force[:-2])
        straight &= bend <= _FLAT_ULPS * np.finfo(np.float32).eps * np.maximum(np.abs(force[1:-1]), 1)
        starts, stops = find_runs(straight)
        if (stops - starts).max(initial=0) + 2 < limit:
            return np.zeros(len(tiles.starts), np.bool_)  # the usual case, after one axis
    flat = np.zeros(len(tiles.starts), np.bool_)
    for run in np.flatnonzero(stops - starts + 2 >= limit):
        # A run of k vanishing second differences is a line through k + 2 samples.
        first, last = starts[run], stops[run] + 2
        shared = np.minimum(last, tiles.starts + tiles.length) - np.maximum(first, tiles.starts)
        flat |= shared >= limit
    return flat
