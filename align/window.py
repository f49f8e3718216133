"""Windows of a view over one aligned take: half-open tiles inside label intervals, never across a break."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_RATE_HZ, GRID_STEP_NS, AlignedTake, Grid, ImuTrack, Quality
from sensorloom.align.view import View
from sensorloom.ingest.take import Finding, Interval, counted

__all__ = ["Cut", "Window", "cut_windows", "usable_codes"]

_FLAT_ULPS = 32  # of float32: what resampling a constant may leave of a second difference


@dataclass(frozen=True, slots=True)
class Window:
    """One window `[start_ns, stop_ns)` on the take clock, `stop_ns - start_ns` long to the nanosecond.

    `coverage` holds the usable share of each slot's accelerometer and gyroscope in the view's order (0.0
    where the take lacks it); the three shares say what the samples of the sensors present are.
    `label_index` is -1 and `label` empty in a view without classes.
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


@dataclass(frozen=True, slots=True)
class Cut:
    """The windows that were kept, in time order, and what was dropped, one finding per reason."""

    windows: tuple[Window, ...]
    drops: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Tiles:
    """Starts int64[n] on the grid with the class index int64[n] of each; `length` grid samples each."""

    starts: NDArray[np.int64]
    classes: NDArray[np.int64]
    length: int

    def keep(self, mask: NDArray[np.bool_]) -> _Tiles:
        return _Tiles(self.starts[mask], self.classes[mask], self.length)


def usable_codes(view: View) -> NDArray[np.bool_]:
    """Return bool[4], which `Quality` codes count as usable in `view`."""
    usable = np.zeros(len(Quality), np.bool_)
    usable[Quality.VALID] = True
    usable[Quality.RETIMED] = view.retimed_is_valid
    usable[Quality.INTERPOLATED] = view.interpolated_is_valid
    return usable


def cut_windows(aligned: AlignedTake, view: View) -> Cut:
    """Tile `aligned` with the windows of `view`, and count every drop by its reason.

    Tiles start at each label interval's first instant on the view's own rate. A window is kept where every
    sensor that the take has in the view's slots is covered, at least one slot is there, and no
    accelerometer is flat.
    """
    drops: list[Finding] = []
    tiles = _tile(aligned, view, drops)
    slots = {track.position: track for track in aligned.imu if track.quality.any()}
    tracks = [slots.get(position) for position in view.positions]
    _note_positions(aligned, view, tiles, drops)
    if all(track is None for track in tracks):
        return Cut((), tuple(drops))
    coverage, present = _coverage(tracks, tiles, usable_codes(view))
    covered = (coverage >= view.min_coverage - 1e-9)[:, present].all(axis=1)
    flat = np.zeros(len(tiles.starts), np.bool_)
    for track in tracks:
        if track is not None:
            flat |= _flat_tiles(track, tiles, view)
    for rule, count, words in (
        (
            "window-coverage",
            (~covered).sum(),
            f"less than {view.min_coverage:.0%} of a sensor's samples are usable",
        ),
        (
            "window-flat",
            (covered & flat).sum(),
            f"an accelerometer is flat for {view.max_flat_s:g} s or longer",
        ),
    ):
        if count:
            numbers = {"windows": int(count), "total_s": int(count) * view.length_s}
            sentence = f"{view.name}: {counted(int(count), 'window')} dropped, in which {words}"
            drops.append(Finding(aligned.take_id, rule, "note", sentence, numbers))
    kept = covered & ~flat
    shares = _shares([track for track in tracks if track is not None], tiles.keep(kept))
    return Cut(
        tuple(_windows(aligned, view, tiles.keep(kept), np.concatenate((coverage[kept], shares), axis=1))),
        tuple(drops),
    )


def _tile(aligned: AlignedTake, view: View, drops: list[Finding]) -> _Tiles:
    """Tile each run of one class between breaks; runs and tails too short for a window become drops."""
    factor, length, stride = view.decimation, view.grid_samples, view.grid_stride
    starts: list[NDArray[np.int64]] = []
    classes: list[NDArray[np.int64]] = []
    short: list[int] = []
    tail: list[int] = []
    for first, last, label in _runs(aligned, view, drops):
        first += -(aligned.grid.start_ns // GRID_STEP_NS + first) % factor
        count = max(0, (last - first - length) // stride + 1) if last - first >= length else 0
        starts.append(first + stride * np.arange(count))
        classes.append(np.full(count, label))
        left = last - first if count == 0 else last - (first + stride * (count - 1) + length)
        (tail if count else short).append(max(0, left))
    for rule, lost, noun, words in (
        ("label-run-too-short", short, "run", f"of one class shorter than a window of {view.length_s:g} s"),
        ("window-tail", [left for left in tail if left], "tail", "left after the last whole window of a run"),
    ):
        if lost:
            numbers = {"runs": len(lost), "total_s": sum(lost) / GRID_RATE_HZ}
            sentence = f"{view.name}: {counted(len(lost), noun)} {words}, {numbers['total_s']:.1f} s in all"
            drops.append(Finding(aligned.take_id, rule, "note", sentence, numbers))
    none = [np.empty(0, np.int64)]
    return _Tiles(np.concatenate(starts or none), np.concatenate(classes or none).astype(np.int64), length)


def _runs(aligned: AlignedTake, view: View, drops: list[Finding]) -> Iterator[tuple[int, int, int]]:
    """Yield the grid ranges [first, last) of one class, in time order; breaks and contradictions are cut out."""
    whole = Interval(aligned.grid.start_ns, aligned.grid.stop_ns)
    wanted = [(label.interval, label.text) for label in aligned.labels] if view.classes else [(whole, "")]
    index = {text: number for number, text in enumerate(view.classes)} or {"": -1}
    others = [interval for interval, text in wanted if text not in index]
    if others:
        seconds = sum(interval.length_ns for interval in others) / 1e9
        stretches = counted(len(others), "interval")
        sentence = f"{view.name}: {stretches}, {seconds:.1f} s in all, under labels it does not list"
        numbers = {"intervals": len(others), "total_s": seconds}
        drops.append(Finding(aligned.take_id, "label-not-in-view", "note", sentence, numbers))
    edges = sorted(pause.start_ns for pause in aligned.breaks)
    open_ = np.ones(aligned.grid.num_samples, np.bool_)
    for pause in aligned.breaks:
        open_[max(0, aligned.grid.index(pause.start_ns)) : max(0, aligned.grid.index(pause.stop_ns))] = False
    claimed = _claimed_twice(aligned.grid, [interval for interval, _ in wanted])
    if claimed.any():
        seconds = float(np.count_nonzero(claimed) / GRID_RATE_HZ)
        sentence = (
            f"{view.name}: {seconds:.1f} s lie in two label intervals at once and are left out: which holds?"
        )
        drops.append(Finding(aligned.take_id, "label-overlap", "warning", sentence, {"total_s": seconds}))
        open_ &= ~claimed
    for interval, text in sorted(wanted, key=lambda pair: pair[0].start_ns):
        if text not in index:
            continue
        inside = [
            interval.start_ns,
            *(edge for edge in edges if interval.start_ns < edge < interval.stop_ns),
            interval.stop_ns,
        ]
        bounds = np.clip([aligned.grid.index(time) for time in inside], 0, aligned.grid.num_samples).tolist()
        for start, stop in pairwise(bounds):
            for first, last in zip(*find_runs(open_[start:stop]), strict=True):
                yield start + int(first), start + int(last), index[text]


def _claimed_twice(grid: Grid, intervals: list[Interval]) -> NDArray[np.bool_]:
    """Return bool[T], the instants inside more than one interval."""
    starts = np.clip([grid.index(interval.start_ns) for interval in intervals], 0, grid.num_samples)
    stops = np.clip([grid.index(interval.stop_ns) for interval in intervals], 0, grid.num_samples)
    length = grid.num_samples + 1
    depth = np.cumsum(
        np.bincount(starts.astype(int), minlength=length) - np.bincount(stops.astype(int), minlength=length)
    )
    twice: NDArray[np.bool_] = depth[:-1] > 1
    return twice


def _note_positions(aligned: AlignedTake, view: View, tiles: _Tiles, drops: list[Finding]) -> None:
    there = {track.position for track in aligned.imu if track.quality.any()}
    missing = [position for position in view.positions if position not in there]
    if missing and len(tiles.starts):
        lost = len(tiles.starts) if len(missing) == len(view.positions) else 0
        sentence = f"{view.name}: the take lacks {', '.join(missing)}: " + (
            f"none of {counted(lost, 'window')} can be cut" if lost else "these slots are masked"
        )
        numbers = {"missing": len(missing), "windows": lost, "total_s": lost * view.length_s}
        drops.append(
            Finding(
                aligned.take_id, "window-position-missing", "warning" if lost else "note", sentence, numbers
            )
        )


def _coverage(
    tracks: list[ImuTrack | None], tiles: _Tiles, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the usable share float64[n, S * 2] of every tile, and bool[S * 2] which sensors the take has."""
    shares = np.zeros((len(tiles.starts), 2 * len(tracks)))
    present = np.zeros(2 * len(tracks), np.bool_)
    for slot, track in enumerate(tracks):
        for sensor in range(2):
            if track is not None and track.quality[:, sensor].any():
                present[2 * slot + sensor] = True
                shares[:, 2 * slot + sensor] = _share(usable[track.quality[:, sensor]], tiles)
    return shares, present


def _share(mask: NDArray[np.bool_], tiles: _Tiles) -> NDArray[np.float64]:
    """Return the share float64[n] of True in `mask` bool[T] inside every tile."""
    total = np.concatenate(([0], np.cumsum(mask, dtype=np.int32)))
    share: NDArray[np.float64] = (total[tiles.starts + tiles.length] - total[tiles.starts]) / tiles.length
    return share


def _shares(tracks: list[ImuTrack], tiles: _Tiles) -> NDArray[np.float64]:
    """Return float64[n, 3]: shares of valid, re-timed and interpolated samples over all sensors present."""
    sensors = [
        track.quality[:, sensor] for track in tracks for sensor in range(2) if track.quality[:, sensor].any()
    ]
    shares = np.zeros((len(tiles.starts), 3))
    for column, code in enumerate((Quality.VALID, Quality.RETIMED, Quality.INTERPOLATED)):
        for quality in sensors:
            mask = quality == code
            if mask.any():
                shares[:, column] += _share(mask, tiles) / len(sensors)
    return shares


def _flat_tiles(track: ImuTrack, tiles: _Tiles, view: View) -> NDArray[np.bool_]:
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


def _windows(
    aligned: AlignedTake, view: View, tiles: _Tiles, shares: NDArray[np.float64]
) -> Iterator[Window]:
    length_ns = tiles.length * GRID_STEP_NS
    times = (aligned.grid.start_ns + tiles.starts * GRID_STEP_NS).tolist()
    for start, number, row in zip(times, tiles.classes.tolist(), shares.tolist(), strict=True):
        yield Window(
            window_id=f"{aligned.take_id}@{start}+{length_ns}",
            take_id=aligned.take_id,
            start_ns=start,
            stop_ns=start + length_ns,
            label=view.classes[number] if number >= 0 else "",
            label_index=number,
            coverage=tuple(row[:-3]),
            valid_share=row[-3],
            retimed_share=row[-2],
            interpolated_share=row[-1],
        )
