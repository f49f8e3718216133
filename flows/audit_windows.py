"""The windows of one take, as its views cut them, measured once for all views of one shape; the worst of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.rules import Rule
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.window_quality import WindowQuality, find_windows, measure_windows, reasons, scores
from sensorloom.flows.report_takes import MAX_PICTURES
from sensorloom.ingest.take import Finding

__all__ = ["WindowsLooked", "WindowsOf", "WorstWindow", "look_at_windows"]


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
    """What was found of the windows of a take; `doubtful` counts by view those past a threshold."""

    findings: tuple[Finding, ...]
    worst: tuple[WorstWindow, ...]
    doubtful: Mapping[str, int]


def look_at_windows(
    aligned: AlignedTake,
    cameras: Sequence[CameraMotion],
    windows: Iterable[WindowsOf],
    rules: Mapping[str, Rule],
) -> WindowsLooked:
    """Measure the windows of all views, and keep the findings and of each view the worst three windows.

    Where views of several shapes find the same of the same target, it is told once, with the most numbers' worth: that
    of the shape with the most windows.
    """
    findings: dict[tuple[str, str], Finding] = {}
    worst: list[WorstWindow] = []
    doubtful: dict[str, int] = {}
    for shape in _shapes(windows):
        starts_ns = np.unique(np.concatenate([np.array(view.starts_ns, np.int64) for view in shape]))
        positions, has_cameras, length_ns = shape[0].shape
        quality = measure_windows(aligned, starts_ns, length_ns, positions, cameras if has_cameras else ())
        for finding in find_windows(aligned.take_id, quality, rules):
            findings.setdefault((finding.rule, finding.target), finding)
        badness = scores(quality, rules)
        for view in shape:
            places = np.searchsorted(starts_ns, np.array(view.starts_ns, np.int64))
            doubtful[view.view] = int((badness[places] > 1).sum())
            worst += _worst(view, places, badness, (quality, rules))
    return WindowsLooked(tuple(findings.values()), tuple(worst), dict(sorted(doubtful.items())))


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
    """Yield the worst windows of one view, those without any doubt left out, the earlier of equals first."""
    quality, rules = judged
    order = places[np.argsort(-badness[places], kind="stable")][:MAX_PICTURES]
    for place in order.tolist():
        if badness[place] > 0:
            start_ns = int(quality.starts_ns[place])
            yield WorstWindow(
                view=view.view,
                start_ns=start_ns,
                length_ns=view.length_ns,
                score=float(badness[place]),
                reasons=reasons(quality, place, rules),
                numbers=quality.numbers(place),
            )
