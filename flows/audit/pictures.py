"""Windows as pictures: their signals, body pose, texts, and three video frames where the raw videos are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import (
    GRID_RATE_HZ,
    GRID_STEP_NS,
    SLOW_STEP_NS,
    AlignedTake,
    ImuTrack,
    MocapTrack,
    Quality,
)
from sensorloom.flows.audit.frames import show_frames
from sensorloom.flows.audit.report import IMU_KINDS
from sensorloom.flows.audit.report_windows import MAX_TRACE_POINTS, Skeleton, TextShown, Trace, WindowPicture
from sensorloom.flows.audit.windows import WorstWindow
from sensorloom.ingest.take import NS_PER_S

__all__ = ["ToDraw", "draw"]

_UNITS = ("m/s²", "rad/s")
_DIGITS = (3, 4)
_POSE_DIGITS = 3


@dataclass(frozen=True, slots=True)
class ToDraw:
    """A window to draw: what is wrong with it, what its row says, and what its view cuts."""

    worst: WorstWindow
    row: Mapping[str, Any]
    positions: tuple[str, ...]
    has_cameras: bool


def draw(aligned: AlignedTake, windows: Sequence[ToDraw], raw: Path | None) -> tuple[WindowPicture, ...]:
    """Draw windows of one take; frames are decoded where `raw`, the parent of the data sets' folders, is given."""
    filmed = [window for window in windows if window.has_cameras]
    spans = [(window.worst.start_ns, window.worst.start_ns + window.worst.length_ns) for window in filmed]
    frames = dict(zip(map(id, filmed), show_frames(aligned, spans, raw), strict=True))
    return tuple(
        WindowPicture(
            window_id=window.row["window_id"],
            view=window.worst.view,
            take_id=aligned.take_id,
            dataset=aligned.dataset,
            label=window.row["label"],
            split=window.row["split"] or "",
            start_s=window.worst.start_ns / NS_PER_S,
            stop_s=(window.worst.start_ns + window.worst.length_ns) / NS_PER_S,
            score=window.worst.score,
            reasons=window.worst.reasons,
            numbers=window.worst.numbers,
            traces=tuple(_traces(aligned, window)),
            skeleton=_skeleton(aligned.mocap, window.worst),
            frames=frames.get(id(window), ()),
            texts=tuple(_texts(window.row)),
            take_start_s=aligned.grid.start_ns / NS_PER_S,
        )
        for window in windows
    )


def _traces(aligned: AlignedTake, window: ToDraw) -> Iterator[Trace]:
    """Yield each sensor of the view's positions that the take has; where it was not there at all, nothing."""
    grid, worst = aligned.grid, window.worst
    first = max(0, grid.index(worst.start_ns))
    stop = min(grid.num_samples, grid.index(worst.start_ns + worst.length_ns))
    if stop <= first:
        return
    start_s = (grid.start_ns + first * GRID_STEP_NS) / NS_PER_S
    tracks = {track.position: track for track in aligned.imu}
    for position in window.positions:
        if position in tracks:
            for sensor in range(len(IMU_KINDS)):
                if (tracks[position].quality[:, sensor] != Quality.INVALID).any():
                    yield _trace(tracks[position], sensor, slice(first, stop), start_s)


def _trace(track: ImuTrack, sensor: int, samples: slice, start_s: float) -> Trace:
    values = np.asarray(track.values[samples, 3 * sensor : 3 * sensor + 3], np.float64)
    invalid = np.asarray(track.quality[samples, sensor]) == Quality.INVALID
    starts, stops = find_runs(invalid)
    step = -(-len(values) // MAX_TRACE_POINTS)
    points = _means(values, ~invalid, step)
    rounded = np.round(points, _DIGITS[sensor]) + 0.0  # no minus zero
    return Trace(
        position=track.position,
        kind=IMU_KINDS[sensor],
        unit=_UNITS[sensor],
        start_s=start_s + (step - 1) / 2 / GRID_RATE_HZ,
        step_s=step / GRID_RATE_HZ,
        values=tuple(tuple(axis) for axis in rounded.T.tolist()),
        invalid=tuple(
            (start_s + begin / GRID_RATE_HZ, start_s + end / GRID_RATE_HZ)
            for begin, end in zip(starts.tolist(), stops.tolist(), strict=True)
        ),
    )


def _means(values: NDArray[np.float64], valid: NDArray[np.bool_], step: int) -> NDArray[np.float64]:
    """Return the mean of the valid ones of every `step` rows, NaN where none is."""
    starts = np.arange(0, len(values), step)
    sums = np.add.reduceat(np.where(valid[:, None], values, 0.0), starts, axis=0)
    counts = np.add.reduceat(valid.astype(np.int64), starts)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = sums / counts[:, None]
    return means


def _skeleton(mocap: MocapTrack | None, worst: WorstWindow) -> Skeleton | None:
    """Return the joints nearest to the window's middle; None where the take has none then."""
    if mocap is None:
        return None
    middle_ns = worst.start_ns + worst.length_ns // 2
    row = (middle_ns - mocap.start_ns + SLOW_STEP_NS // 2) // SLOW_STEP_NS
    if not 0 <= row < len(mocap.values):
        return None
    seen = np.asarray(mocap.quality[row]) != Quality.INVALID
    points = np.round(np.asarray(mocap.values[row], np.float64), _POSE_DIGITS).tolist()
    shown = tuple(
        (x, y, z) if there else None for (x, y, z), there in zip(points, seen.tolist(), strict=True)
    )
    return Skeleton(mocap.joints, shown) if seen.any() else None


def _texts(row: Mapping[str, Any]) -> Iterator[TextShown]:
    for text in row.get("texts") or ():
        offset_ms = text["offset_ms"]
        yield TextShown(text["source"], text["text"], None if offset_ms is None else round(offset_ms, 3))
