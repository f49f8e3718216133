"""The quality of every stream along a take, as few runs as a page can draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import GRID_STEP_NS, SLOW_STEP_NS, AlignedTake, MocapTrack, Quality
from sensorloom.flows.audit.report import IMU_KINDS
from sensorloom.flows.audit.report_takes import Strip
from sensorloom.ingest.take import NS_PER_S

__all__ = ["strips_of"]

MAX_RUNS = 500
"""A strip is drawn in at most so many pieces, each as bad as the worst in it."""

_CODES = ("valid", "interpolated", "retimed", "invalid")
_RANKS = {Quality.VALID: 0, Quality.INTERPOLATED: 1, Quality.RETIMED: 2, Quality.INVALID: 3}
_CAMERA_CODES = ("valid", "black", "frozen", "missing")


def strips_of(aligned: AlignedTake, cameras: Sequence[CameraMotion]) -> tuple[Strip, ...]:
    """Return a strip for each sensor that the take has, its mocap and its cameras, in that order."""
    strips = []
    start_s, step_s = aligned.grid.start_ns / NS_PER_S, GRID_STEP_NS / NS_PER_S
    for track in aligned.imu:
        for sensor, kind in enumerate(IMU_KINDS):
            quality = np.asarray(track.quality[:, sensor])
            if (quality != Quality.INVALID).any():
                runs = _runs(_ranks(quality), start_s, step_s, _CODES)
                strips.append(Strip(f"{track.position}/{kind}", start_s, tuple(runs)))
    if aligned.mocap is not None and len(aligned.mocap.values):
        strips.append(_mocap(aligned.mocap))
    strips += [_camera(camera) for camera in cameras if len(camera.times_ns)]
    return tuple(strips)


def _ranks(quality: NDArray[np.uint8]) -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for code, rank in _RANKS.items():
        table[code] = rank
    return table[quality]


def _mocap(mocap: MocapTrack) -> Strip:
    """Return what most joints are: the rank that half of them do not exceed."""
    ranks = np.sort(_ranks(np.asarray(mocap.quality)), axis=1)[:, (len(mocap.joints) - 1) // 2]
    start_s = mocap.start_ns / NS_PER_S
    return Strip(
        f"mocap/{mocap.source}", start_s, tuple(_runs(ranks, start_s, SLOW_STEP_NS / NS_PER_S, _CODES))
    )


def _camera(camera: CameraMotion) -> Strip:
    """Return what the camera shows every 100 ms; a frame that is more than 50 ms away does not show there."""
    first = int(camera.times_ns[0]) // SLOW_STEP_NS
    last = int(camera.times_ns[-1]) // SLOW_STEP_NS
    ranks = np.full(last - first + 1, 3, np.uint8)
    shown = np.select([~camera.is_decoded, camera.is_frozen, camera.is_black], [3, 2, 1], 0).astype(np.uint8)
    places = camera.times_ns // SLOW_STEP_NS - first
    ranks[places] = shown
    # A film that is no slower than the instants may skip one by rounding.
    skipped = np.flatnonzero((ranks[1:-1] == 3) & (ranks[:-2] != 3) & (ranks[2:] != 3)) + 1
    skipped = skipped[~np.isin(skipped, places)]
    ranks[skipped] = ranks[skipped - 1]
    start_s, step_s = first * SLOW_STEP_NS / NS_PER_S, SLOW_STEP_NS / NS_PER_S
    return Strip(camera.name, start_s, tuple(_runs(ranks, start_s, step_s, _CAMERA_CODES)))


def _runs(
    ranks: NDArray[np.uint8], start_s: float, step_s: float, codes: Sequence[str]
) -> Iterator[tuple[str, float, float]]:
    """Yield runs of equal rank, looked at in at most 500 pieces, each as bad as its worst."""
    piece = -(-len(ranks) // MAX_RUNS)
    coarse = np.maximum.reduceat(ranks, np.arange(0, len(ranks), piece))
    begins = np.flatnonzero(np.concatenate(([True], coarse[1:] != coarse[:-1])))
    ends = np.append(begins[1:], len(coarse))
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        stop = min(end * piece, len(ranks))
        yield codes[int(coarse[begin])], start_s + begin * piece * step_s, start_s + stop * step_s
