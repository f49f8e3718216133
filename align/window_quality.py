"""Quality of windows: every measure of every stream in one table, and what the rules say to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.parts import IMU_KINDS
from sensorloom.align.ranges import Ranges
from sensorloom.align.rules import Rule
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.timeline import GRID_STEP_NS, AlignedTake, Grid
from sensorloom.align.window_measures import camera_measures, mocap_measures, sensor_measures
from sensorloom.ingest.take import NS_PER_S, Finding, Severity, counted

__all__ = ["WindowQuality", "find_windows", "measure_windows", "reasons", "scores"]


@dataclass(frozen=True, slots=True)
class WindowQuality:
    """Measures `values` float32[n, C] of n windows of `length_ns` from `starts_ns` int64[n]; NaN is not told.

    A column is `stream#measure`: `head/accelerometer#longest_gap_ms`, `mocap/annotation#bones`,
    `video/aria01_214-1#frozen`. Streams that the take lacks have none.
    """

    starts_ns: NDArray[np.int64]
    length_ns: int
    columns: tuple[str, ...]
    values: NDArray[np.float32]

    def __repr__(self) -> str:
        seconds = self.length_ns / NS_PER_S
        return f"WindowQuality({len(self.starts_ns)} windows of {seconds:g} s, {len(self.columns)} columns)"

    def numbers(self, place: int) -> dict[str, float]:
        """Return what is told of the window at `place`, by column."""
        row = self.values[place].tolist()
        return {name: value for name, value in zip(self.columns, row, strict=True) if value == value}


@dataclass(frozen=True, slots=True)
class _Line:
    """How a measure is held against a rule: is it true, above the threshold, or below it; and how it is told of."""

    rule: str
    measure: str
    side: Literal["is", "above", "below"]
    words: str
    scale: float = 1.0


_LINES = (
    _Line("window-all-zero", "is_zero", "is", "every usable sample is 0"),
    _Line("window-constant-channel", "constant_s", "above", "a channel does not change for {:.1f} s"),
    _Line("window-identical-axes", "has_identical_axes", "is", "two axes carry the same values"),
    _Line("window-saturated", "saturated", "above", "{:.1f} % of the samples stand at the limit", 100),
    _Line(
        "window-gravity-off",
        "gravity_off_m_s2",
        "above",
        "the mean force is {:.1f} m/s² off what gravity gives",
    ),
    _Line("window-gap", "longest_gap_ms", "above", "no usable sample for {:,.0f} ms"),
    _Line("mocap-bones-vary", "bones", "above", "bones are {:.0f} % off their length", 100),
    _Line("mocap-few-joints", "coverage", "below", "{:.0f} % of the joints are there", 100),
    _Line("video-frozen", "frozen", "above", "{:.0f} % of the frames stand still", 100),
    _Line("video-black", "black", "above", "{:.0f} % of the frames are black", 100),
)

_WORST: Mapping[Severity, float] = {"note": 2.0, "warning": 4.0, "error": 8.0}
"""How bad a window can be by one rule, where 1 is at the rule's threshold."""


def measure_windows(
    aligned: AlignedTake,
    starts_ns: NDArray[np.int64],
    length_ns: int,
    positions: Sequence[str],
    cameras: Sequence[CameraMotion],
) -> WindowQuality:
    """Measure the windows `[start, start + length_ns)` int64[n] of a take: sensors at `positions`, mocap, cameras.

    Where `aligned` carries its findings, the limits that `saturation` names are looked for on the grid.
    """
    stops_ns = starts_ns + length_ns
    grid = aligned.grid
    ranges = Ranges.inside(_index(grid, starts_ns), _index(grid, stops_ns), grid.num_samples)
    columns: dict[str, NDArray[np.float32]] = {}
    for track in aligned.imu:
        if track.position in positions:
            for sensor in range(2):
                if track.quality[:, sensor].any():
                    name = f"{track.position}/{IMU_KINDS[sensor]}"
                    limits = _limits(aligned.findings, f"{aligned.take_id}#{name}")
                    columns |= _named(name, sensor_measures(track, sensor, ranges, limits))
    if aligned.mocap is not None:
        measures = mocap_measures(aligned.mocap, starts_ns, stops_ns)
        columns |= _named(f"mocap/{aligned.mocap.source}", measures)
    for camera in cameras:
        columns |= _named(f"video/{camera.name}", camera_measures(camera, starts_ns, stops_ns))
    values = np.empty((len(starts_ns), len(columns)), np.float32)
    for place, measure in enumerate(columns.values()):
        values[:, place] = measure
    return WindowQuality(starts_ns, length_ns, tuple(columns), values)


def find_windows(take_id: str, quality: WindowQuality, rules: Mapping[str, Rule]) -> tuple[Finding, ...]:
    """Return one finding for each rule that fires: how many windows, in which streams, and the worst."""
    findings = []
    for line in _LINES:
        held = [(stream, values) for _, stream, values in _held(quality, rules, line)]
        found = _found(take_id, quality, line, rules.get(line.rule), held)
        if found is not None:
            findings.append(found)
    return tuple(findings)


def scores(quality: WindowQuality, rules: Mapping[str, Rule]) -> NDArray[np.float32]:
    """Return how bad each window is, float32[n]: 0 sound, 1 at a threshold, up to 2 by a note and 8 by an error."""
    worst = np.zeros(len(quality.starts_ns), np.float32)
    for line in _LINES:
        for rule, _, values in _held(quality, rules, line):
            worst = np.maximum(worst, _ratios(rule, line, values))
    return worst


def reasons(quality: WindowQuality, place: int, rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """Return what the rules find in the window at `place`, worst first, in words."""
    told = []
    for line in _LINES:
        for rule, stream, values in _held(quality, rules, line):
            ratio = float(_ratios(rule, line, values[place : place + 1])[0])
            if ratio > 1:
                told.append((-ratio, f"{stream}: {line.words.format(values[place] * line.scale)}"))
    return tuple(words for _, words in sorted(told, key=lambda one: one[0]))


def _limits(findings: Sequence[Finding], target: str) -> list[float]:
    """Return the limits, with their sign, that the recorded samples of a sensor were found to stand at."""
    return [
        value
        for finding in findings
        if finding.rule == "saturation" and finding.target == target
        for key, value in finding.numbers.items()
        if key.startswith("limit_")
    ]


def _index(grid: Grid, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first samples of the grid at or after times int64[n]."""
    index: NDArray[np.int64] = -((grid.start_ns - times_ns) // GRID_STEP_NS)
    return index


def _named(stream: str, measures: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    return {f"{stream}#{name}": values for name, values in measures.items()}


def _held(
    quality: WindowQuality, rules: Mapping[str, Rule], line: _Line
) -> Iterator[tuple[Rule, str, NDArray[np.float32]]]:
    """Yield the rule of a line, and each stream that has its measure, float32[n]; nothing where it is off."""
    rule = rules.get(line.rule)
    if rule is None:
        return
    is_joints = line.rule.startswith("mocap")
    for place, column in enumerate(quality.columns):
        stream, _, measure = column.rpartition("#")
        if measure == line.measure and stream.startswith("mocap/") == is_joints:
            yield rule, stream, quality.values[:, place]


def _ratios(rule: Rule, line: _Line, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32[n], 1 where a measure is at the rule's threshold, above 1 where the rule fires."""
    most = _WORST[rule.severity]
    if line.side == "is":
        ratios = np.where(values > 0, most, 0.0)
    elif line.side == "above":
        ratios = values / rule.limit
    else:
        ratios = (1 - values) / max(1 - rule.limit, 1e-6)
    held: NDArray[np.float32] = np.clip(np.nan_to_num(ratios), 0, most).astype(np.float32)
    return held


def _found(
    take_id: str,
    quality: WindowQuality,
    line: _Line,
    rule: Rule | None,
    held: Sequence[tuple[str, NDArray[np.float32]]],
) -> Finding | None:
    if rule is None or not held:
        return None
    fires = np.stack([_ratios(rule, line, values) for _, values in held]) > 1
    if not fires.any():
        return None
    hit = np.flatnonzero(fires.any(axis=1)).tolist()
    windows, total = int(fires.any(axis=0).sum()), fires.shape[1]
    # Ratios are capped, so the measure itself says which is the worst.
    measured = np.stack([np.nan_to_num(values) for _, values in held])
    measured = np.where(fires, -measured if line.side == "below" else measured, -np.inf)
    place = divmod(int(np.argmax(measured)), total)
    worst, start_s = float(held[place[0]][1][place[1]]), float(quality.starts_ns[place[1]]) / NS_PER_S
    numbers = {"windows": windows, "share": windows / total, "streams": len(hit), "worst_start_s": start_s}
    if line.side != "is":
        numbers[_worst_key(line.measure)] = worst
    streams = [held[stream][0] for stream in hit]
    sentence = (
        f"{counted(windows, 'window')} of {total} ({windows / total:.1%}), {_listed(streams)}:"
        f" {'' if line.side == 'is' else 'at worst '}{line.words.format(worst * line.scale)}, in the window from"
        f" {start_s:.1f} s on"
    )
    return rule.finding(f"{take_id}#{streams[0]}" if len(streams) == 1 else take_id, sentence, numbers)


def _worst_key(measure: str) -> str:
    return f"worst_{measure}" if measure.endswith(("_ms", "_s", "_s2")) else f"worst_{measure}_share"


def _listed(streams: Sequence[str]) -> str:
    shown = ", ".join(streams[:3])
    return shown if len(streams) <= 3 else f"{shown} and {len(streams) - 3} more"
