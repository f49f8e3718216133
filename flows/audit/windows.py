"""The windows of one take, as its views cut them, measured once for all views of one shape; the worst of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.rules import Rule
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.window_quality import WindowQuality, find_windows, measure_windows, reasons, scores
from sensorloom.flows.audit.report_windows import MAX_PICTURES
from sensorloom.ingest.take import Finding

__all__ = ["WindowsLooked", "WindowsOf", "WorstWindow", "apart", "look_at_windows"]

_DIGITS = 4
"""Measures are float32: more digits would be noise."""


@dataclass(frozen=True, slots=True)
class WindowsOf:
    """The windows of a take that one view cuts: `starts_ns` rise, each `length_ns` long, from these positions."""

    view: str
    positions: tuple[str, ...]
    has_cameras: bool
    length_ns: int
    starts_ns: tuple[int, ...]

    @property
    def shape(self) -> tuple[tuple[str, ...], bool, int]:
        """What the windows hold and how long they are: views that agree in it are measured together."""
        return self.positions, self.has_cameras, self.length_ns


@dataclass(frozen=True, slots=True)
class WorstWindow:
    """A window worth looking at: its `score` (0 sound, 1 at a threshold), why, and its numbers with their units."""

    view: str
    start_ns: int
    length_ns: int
    score: float
    reasons: tuple[str, ...]
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WindowsLooked:
    """What was found of the windows of a take."""

    findings: tuple[Finding, ...]
    worst: tuple[WorstWindow, ...]


def look_at_windows(
    aligned: AlignedTake,
    cameras: Sequence[CameraMotion],
    windows: Iterable[WindowsOf],
    rules: Mapping[str, Rule],
) -> WindowsLooked:
    """Measure the windows of all views, and keep the findings and the worst three of each view.

    Where views of several shapes find the same of the same target, it is told once, with the most numbers' worth: that
    of the shape with the most windows.
    """
    findings: dict[tuple[str, str], Finding] = {}
    worst: list[WorstWindow] = []
    for shape in _shapes(windows):
        starts_ns = np.unique(np.concatenate([np.array(view.starts_ns, np.int64) for view in shape]))
        positions, has_cameras, length_ns = shape[0].shape
        quality = measure_windows(aligned, starts_ns, length_ns, positions, cameras if has_cameras else ())
        for finding in find_windows(aligned.take_id, quality, rules):
            findings.setdefault((finding.rule, finding.target), finding)
        badness = scores(quality, rules)
        for view in shape:
            places = np.searchsorted(starts_ns, np.array(view.starts_ns, np.int64))
            worst += _worst(view, places, badness, (quality, rules))
    return WindowsLooked(tuple(findings.values()), tuple(worst))


def _shapes(windows: Iterable[WindowsOf]) -> list[list[WindowsOf]]:
    """Return the views with windows by shape, those with the most windows first."""
    shapes: dict[tuple[tuple[str, ...], bool, int], list[WindowsOf]] = defaultdict(list)
    for view in windows:
        if view.starts_ns:
            shapes[view.shape].append(view)
    ordered = sorted(
        shapes.items(), key=lambda item: (-max(len(view.starts_ns) for view in item[1]), item[0])
    )
    return [views for _, views in ordered]


def _worst(
    view: WindowsOf,
    places: NDArray[np.intp],
    badness: NDArray[np.float32],
    judged: tuple[WindowQuality, Mapping[str, Rule]],
) -> Iterable[WorstWindow]:
    """Yield the worst windows of one view that a rule finds wanting, the earlier of equals first, no stretch twice."""
    quality, rules = judged
    wanting = places[badness[places] > 1]
    order = wanting[np.argsort(-badness[wanting], kind="stable")]
    spans = ((start_ns, view.length_ns) for start_ns in quality.starts_ns[order].tolist())
    for rank in islice(apart(spans), MAX_PICTURES):
        place = int(order[rank])
        yield WorstWindow(
            view=view.view,
            start_ns=int(quality.starts_ns[place]),
            length_ns=view.length_ns,
            score=round(float(badness[place]), _DIGITS),
            reasons=reasons(quality, place, rules),
            numbers={name: round(value, _DIGITS) for name, value in quality.numbers(place).items()},
        )


def apart(spans: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Yield the ranks of those of `spans` (start, length) that share less than half with every one yielded before.

    Half of the shorter of the two counts: of windows every half length, every second one stands apart.
    """
    kept: list[tuple[int, int]] = []
    for rank, (start, length) in enumerate(spans):
        if all(
            2 * (min(start + length, other + size) - max(start, other)) < min(length, size)
            for other, size in kept
        ):
            kept.append((start, length))
            yield rank
