"""Windows of a view over one aligned take: half-open, inside label intervals, never across a break."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.content import Content, choose, mask_flat, mocap_share, note_masked, video_present
from sensorloom.align.coverage import imu_cover, imu_shares, imu_tracks
from sensorloom.align.drops import texts_dropped
from sensorloom.align.pairing import WindowText, find_members, pair_texts, window_texts
from sensorloom.align.parts import IMU_KINDS
from sensorloom.align.starts import find_starts
from sensorloom.align.tiles import Tiles
from sensorloom.align.timeline import GRID_STEP_NS, AlignedTake
from sensorloom.align.view import View
from sensorloom.ingest.take import Finding, Severity, counted

__all__ = ["Cut", "Window", "WindowText", "cut_windows"]


@dataclass(frozen=True, slots=True)
class Window:
    """One window `[start_ns, stop_ns)` on the take clock, `stop_ns - start_ns` long to the nanosecond.

    `coverage` holds the usable share of each slot's accelerometer and gyroscope in the view's order (0.0
    where the take lacks it); the three shares say what the samples of the sensors present are.
    `label_index` is -1 and `label` empty in a view without classes.

    `video_present` tells of each camera slot whether enough of its instants have a frame; `mocap_share` is the share
    of instants with a joint, None in a view without mocap. Several `texts` are several positives.
    """

    window_id: str
    take_id: str
    start_ns: int
    stop_ns: int
    label: str
    label_index: int
    coverage: tuple[float, ...]
    valid_share: float
    retimed_share: float
    interpolated_share: float
    video_present: tuple[bool, ...] = ()
    mocap_share: float | None = None
    texts: tuple[WindowText, ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """The windows that were kept, in time order, and what was dropped, one finding per reason."""

    windows: tuple[Window, ...]
    drops: tuple[Finding, ...]


def cut_windows(aligned: AlignedTake, view: View) -> Cut:
    """Cut the windows of `view` out of `aligned`, and count every drop by its first reason.

    Tiles start at each label interval's first instant on the view's own rate. Where the view requires IMU, a window
    is kept where every sensor that the take has in the view's slots is covered, at least one slot is there, and no
    accelerometer is flat; where it does not, such sensors are masked.
    """
    drops: list[Finding] = []
    texts = pair_texts(aligned, view, drops)
    begin = find_starts(aligned, view, texts, drops)
    tiles = begin.tiles
    starts_ns = aligned.grid.start_ns + tiles.starts * GRID_STEP_NS
    tracks = imu_tracks(aligned, view)
    _note_positions(aligned, view, tiles, drops)
    _note_sensors(aligned, view, tiles, drops)
    if "imu" in view.requires and all(track is None for track in tracks):
        return Cut((), tuple(drops))
    members = find_members(texts, starts_ns, view, begin.anchors)
    content = Content(
        imu=mask_flat(imu_cover(tracks, tiles, view), view),
        grades=imu_shares(tracks, tiles),
        video=video_present(aligned, view, starts_ns),
        mocap=mocap_share(aligned, view, starts_ns),
        texts=window_texts(texts, members, starts_ns, view),
    )
    kept = choose(aligned, view, content, drops)
    note_masked(aligned, view, content.imu, kept, drops)
    paired = {place for window in np.flatnonzero(kept) for place in members[window]}
    placed = set(chain.from_iterable(begin.anchors.values())) if view.anchor == "texts" else range(len(texts))
    lost = len(set(placed) - paired)
    drops += texts_dropped(aligned, view, "text-unpaired", lost, "which belong to no window that was kept")
    return Cut(tuple(_windows(aligned, view, tiles, content, np.flatnonzero(kept))), tuple(drops))


def _note_positions(aligned: AlignedTake, view: View, tiles: Tiles, drops: list[Finding]) -> None:
    there = {track.position for track in aligned.imu if track.quality.any()}
    missing = [position for position in view.positions if position not in there]
    if missing and len(tiles.starts):
        all_lost = len(missing) == len(view.positions) and "imu" in view.requires
        lost = len(tiles.starts) if all_lost else 0
        sentence = f"{view.name}: the take lacks {', '.join(missing)}: " + (
            f"none of {counted(lost, 'window')} can be cut" if lost else "these slots are masked"
        )
        numbers = {"missing": len(missing), "windows": lost, "total_s": lost * view.length_s}
        severity: Severity = "warning" if lost else "note"
        drops.append(Finding(aligned.take_id, "window-position-missing", severity, sentence, numbers))


def _note_sensors(aligned: AlignedTake, view: View, tiles: Tiles, drops: list[Finding]) -> None:
    """Tell of a position with one usable sensor of two: windows are cut with the other masked."""
    for track in aligned.imu:
        lost = [kind for kind, codes in zip(IMU_KINDS, track.quality.T, strict=True) if not codes.any()]
        if track.position in view.positions and len(lost) == 1 and len(tiles.starts):
            sentence = f"{view.name}: the {lost[0]} at {track.position} has no usable sample; it is masked"
            numbers = {"windows": len(tiles.starts)}
            target = f"{aligned.take_id}#{track.position}/{lost[0]}"
            drops.append(Finding(target, "window-sensor-missing", "warning", sentence, numbers))


def _windows(
    aligned: AlignedTake,
    view: View,
    tiles: Tiles,
    content: Content,
    kept: NDArray[np.int64],
) -> Iterator[Window]:
    starts = (aligned.grid.start_ns + tiles.starts[kept] * GRID_STEP_NS).tolist()
    shares = np.concatenate((content.imu.shares, content.grades), axis=1)[kept].tolist()
    for start, place, row in zip(starts, kept.tolist(), shares, strict=True):
        number = int(tiles.classes[place])
        yield Window(
            window_id=f"{aligned.take_id}@{start}+{view.length_ns}",
            take_id=aligned.take_id,
            start_ns=start,
            stop_ns=start + view.length_ns,
            label=view.classes[number] if number >= 0 else "",
            label_index=number,
            coverage=tuple(row[:-3]),
            valid_share=row[-3],
            retimed_share=row[-2],
            interpolated_share=row[-1],
            video_present=tuple(content.video[place].tolist()),
            mocap_share=float(content.mocap[place]) if view.mocap != "none" else None,
            texts=content.texts[place],
        )
