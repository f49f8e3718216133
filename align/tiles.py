"""Where the windows of a view may begin: runs of one class between breaks, and tiles inside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.classes import class_index
from sensorloom.align.runs import find_runs
from sensorloom.align.timeline import GRID_RATE_HZ, GRID_STEP_NS, AlignedTake, Grid
from sensorloom.align.view import View
from sensorloom.ingest.take import Finding, Interval, LabelInterval, counted

__all__ = ["Run", "Tiles", "class_runs", "tile_runs"]


@dataclass(frozen=True, slots=True)
class Run:
    """Grid samples `[first, last)` of one class, without a break; `label` is its index, -1 without classes."""

    first: int
    last: int
    label: int


@dataclass(frozen=True, slots=True)
class Tiles:
    """Starts int64[n] on the grid, sorted, with the class index int64[n] of each; `length` grid samples each."""

    starts: NDArray[np.int64]
    classes: NDArray[np.int64]
    length: int

    def keep(self, mask: NDArray[np.bool_]) -> Tiles:
        """Return the tiles where bool[n] is True."""
        return Tiles(self.starts[mask], self.classes[mask], self.length)


def tile_runs(aligned: AlignedTake, view: View, runs: list[Run], drops: list[Finding]) -> Tiles:
    """Tile each run from its first instant on the view's own rate; what is too short for a window is a drop."""
    factor, length, stride = view.decimation, view.grid_samples, view.grid_stride
    starts: list[NDArray[np.int64]] = []
    classes: list[NDArray[np.int64]] = []
    short: list[int] = []
    tail: list[int] = []
    for run in runs:
        first = run.first + -(aligned.grid.start_ns // GRID_STEP_NS + run.first) % factor
        count = max(0, (run.last - first - length) // stride + 1) if run.last - first >= length else 0
        starts.append(first + stride * np.arange(count))
        classes.append(np.full(count, run.label))
        left = run.last - first if count == 0 else run.last - (first + stride * (count - 1) + length)
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
    return Tiles(np.concatenate(starts or none), np.concatenate(classes or none).astype(np.int64), length)


def class_runs(aligned: AlignedTake, view: View, drops: list[Finding]) -> list[Run]:
    """Return the runs of the view's classes in time order; breaks and contradicting labels are cut out."""
    labels = _labels(aligned, view)
    if aligned.labels and not labels:
        told = ", ".join(sorted({label.source for label in aligned.labels}))
        sentence = (
            f"{view.name}: the take has no label of the vocabulary {view.label_source!r}; it has {told}"
        )
        drops.append(Finding(aligned.take_id, "label-source-missing", "note", sentence))
    wanted = []
    others = []
    for label in labels:
        number = class_index(label.text, view.classes, view.class_words) if view.classes else -1
        if number is None:
            others.append(label.interval)
        else:
            wanted.append((label.interval, number))
    if others:
        seconds = sum(interval.length_ns for interval in others) / 1e9
        stretches = counted(len(others), "interval")
        sentence = f"{view.name}: {stretches}, {seconds:.1f} s in all, under labels it does not list"
        numbers = {"intervals": len(others), "total_s": seconds}
        drops.append(Finding(aligned.take_id, "label-not-in-view", "note", sentence, numbers))
    open_ = _outside_breaks(aligned)
    claimed = _claimed_twice(aligned.grid, [label.interval for label in labels])
    if claimed.any():
        seconds = float(np.count_nonzero(claimed) / GRID_RATE_HZ)
        sentence = (
            f"{view.name}: {seconds:.1f} s lie in two label intervals at once and are left out: which holds?"
        )
        drops.append(Finding(aligned.take_id, "label-overlap", "warning", sentence, {"total_s": seconds}))
        open_ &= ~claimed
    wanted.sort(key=lambda pair: pair[0].start_ns)
    return [run for interval, number in wanted for run in _between_breaks(aligned, interval, number, open_)]


def _labels(aligned: AlignedTake, view: View) -> list[LabelInterval]:
    """Return the labels of the view's vocabulary; without classes one over the whole take, from its 0 on.

    What sensors recorded before the first frame, at negative times, is not of the take.
    """
    if not view.classes:
        stop_ns = aligned.grid.stop_ns
        return [LabelInterval(min(max(0, aligned.grid.start_ns), stop_ns), stop_ns, "")]
    return [label for label in aligned.labels if label.source == view.label_source]


def _between_breaks(
    aligned: AlignedTake, interval: Interval, number: int, open_: NDArray[np.bool_]
) -> Iterator[Run]:
    edges = sorted(pause.start_ns for pause in aligned.breaks)
    inside = (edge for edge in edges if interval.start_ns < edge < interval.stop_ns)
    times = [interval.start_ns, *inside, interval.stop_ns]
    bounds = np.clip([aligned.grid.index(time) for time in times], 0, aligned.grid.num_samples).tolist()
    for start, stop in pairwise(bounds):
        for first, last in zip(*find_runs(open_[start:stop]), strict=True):
            yield Run(start + int(first), start + int(last), number)


def _outside_breaks(aligned: AlignedTake) -> NDArray[np.bool_]:
    open_ = np.ones(aligned.grid.num_samples, np.bool_)
    for pause in aligned.breaks:
        open_[max(0, aligned.grid.index(pause.start_ns)) : max(0, aligned.grid.index(pause.stop_ns))] = False
    return open_


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
