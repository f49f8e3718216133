"""The IMU of an Ego4D video: `imu/<video_uid>.csv`, one row a sample, several components in one file.

Columns `component_idx, component_timestamp_ms, canonical_timestamp_ms, gyro_x … accl_z`: gyroscope first; rad/s, m/s²
with gravity. Canonical time is the clock of the canonical video. Known defects (docs/data/imu.md): canonical stamps
missing where the component was trimmed, stamps without sense, packets out of order, accelerometer cells missing, fewer
components than the video has. Rows are grouped by component, then sorted inside each: a global sort would shuffle two
components into one another where they overlap, and one global rate is wrong for both.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.readers.ego4d_imu_copied import CopiedAxes, find_copied
from sensorloom.ingest.readers.ego4d_imu_stamps import (
    FIRST_ROW_LINE,
    Stamps,
    line_of,
    rows_in_video,
    without_strays,
)
from sensorloom.ingest.tabular import Column, Table, TextFormat, read_header, read_table
from sensorloom.ingest.take import NS_PER_MS, Finding, Interval, SensorStream, counted

__all__ = ["ImuTable", "read_imu_table"]

NOMINAL_RATE_HZ = 200.0
"""What the data set's users resample to; files have 198 to 201 Hz."""
OFFSET_SPREAD_MS = 1.0
"""Canonical less component time is one offset for each component; more spread than this is told."""

_GYROSCOPE = ("gyro_x", "gyro_y", "gyro_z")
_ACCELEROMETER = ("accl_x", "accl_y", "accl_z")
_COMPONENT, _OWN, _CANONICAL = "component_idx", "component_timestamp_ms", "canonical_timestamp_ms"
_HEADER = (_COMPONENT, _OWN, _CANONICAL, *_GYROSCOPE, *_ACCELEROMETER)

_Floats = NDArray[np.float64]
_Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ImuTable:
    """The usable samples of one file in the order of their canonical stamps, and what was done to get them.

    `times_ns` int64[N] on the canonical clock; `accelerometer` float32[N, 3] m/s², `gyroscope` float32[N, 3] rad/s, NaN
    where missing. `components` are the indices that have a usable row, `copied` those of them whose
    accelerometer has one axis twice (it is not masked here). `breaks` are what lies between one component's last sample
    and the next one's first.
    """

    times_ns: NDArray[np.int64]
    accelerometer: NDArray[np.float32]
    gyroscope: NDArray[np.float32]
    components: tuple[int, ...]
    copied: tuple[CopiedAxes, ...]
    breaks: tuple[Interval, ...]
    findings: tuple[Finding, ...]

    def streams(self, device: str) -> tuple[SensorStream, SensorStream]:
        """Return accelerometer and gyroscope of `device`, worn on the head, on the canonical clock."""
        times_ns, axes, claim = self.times_ns, ("x", "y", "z"), NOMINAL_RATE_HZ
        place = ("head", device, "canonical")
        return (
            SensorStream("accelerometer", *place, times_ns, self.accelerometer, axes, "m/s²", claim),
            SensorStream("gyroscope", *place, times_ns, self.gyroscope, axes, "rad/s", claim),
        )


def read_imu_table(stream: io.BufferedIOBase, where: str, duration_s: float, target: str) -> ImuTable:
    """Read the CSV `where` of a video of `duration_s`; its findings are about `target`.

    Raises `RawFileError` with file and line for a header, a row or a cell that is not as documented.
    """
    header = read_header(stream, _HEADER, where)
    table = read_table(
        stream, TextFormat(",", len(header), _columns(header)), where, first_line=FIRST_ROW_LINE
    )
    stamps = Stamps(table.column(_COMPONENT), table.column(_OWN), table.column(_CANONICAL))
    findings: list[Finding] = []
    usable = rows_in_video(stamps, duration_s, target, findings)
    found = [without_strays(stamps, rows, target, findings) for rows in _by_component(stamps, usable)]
    parts = [_sorted_component(stamps, rows, target, findings) for rows in found]
    parts = _without_overlap(parts, stamps, target, findings)
    rows = np.concatenate(parts) if parts else np.empty(0, np.intp)
    accelerometer = _values(table, _ACCELEROMETER, rows)
    return ImuTable(
        times_ns=_to_ns(stamps.canonical_ms[rows]),
        accelerometer=accelerometer,
        gyroscope=_values(table, _GYROSCOPE, rows),
        components=tuple(_index(stamps, rows) for rows in found),
        copied=find_copied(accelerometer, [(_index(stamps, rows), len(rows)) for rows in parts]),
        breaks=_breaks(parts, stamps),
        findings=tuple(findings),
    )


def _columns(header: tuple[str, ...]) -> tuple[Column, ...]:
    return (
        Column(header.index(_COMPONENT), _COMPONENT, "int64"),
        Column(header.index(_OWN), _OWN, "float64", optional=True),
        Column(header.index(_CANONICAL), _CANONICAL, "float64", optional=True),
        *(
            Column(header.index(name), name, "float32", optional=True)
            for name in (*_GYROSCOPE, *_ACCELEROMETER)
        ),
    )


def _values(table: Table, names: tuple[str, ...], rows: _Rows) -> NDArray[np.float32]:
    values = np.empty((len(rows), len(names)), np.float32)
    for place, name in enumerate(names):
        values[:, place] = table.column(name).take(rows)
    return values


def _index(stamps: Stamps, rows: _Rows) -> int:
    """Return the component that `rows`, all of one, belong to."""
    return int(stamps.component[rows[0]])


def _to_ns(canonical_ms: _Floats) -> NDArray[np.int64]:
    return np.rint(canonical_ms * NS_PER_MS).astype(np.int64)


def _by_component(stamps: Stamps, rows: _Rows) -> Iterator[_Rows]:
    """Yield the rows of each component, in file order inside each."""
    component = stamps.component[rows]
    if (np.diff(component) < 0).any():
        order = np.argsort(component, kind="stable")
        rows, component = rows[order], component[order]
    edges = np.flatnonzero(np.diff(component)) + 1
    if len(rows):
        yield from np.split(rows, edges)


def _sorted_component(stamps: Stamps, rows: _Rows, target: str, findings: list[Finding]) -> _Rows:
    """Return one component's rows by canonical stamp, equal ones as they stand in the file."""
    index = _index(stamps, rows)
    times_ms = stamps.canonical_ms[rows]
    findings += _offset_findings(stamps.offsets_ms(rows), index, target)
    steps_ms = np.diff(times_ms)
    back = np.flatnonzero(steps_ms < 0)
    if not len(back):
        return rows
    order = np.argsort(times_ms, kind="stable")
    moved = int(np.count_nonzero(order != np.arange(len(order))))
    largest_ms, line = -float(steps_ms.min()), line_of(rows[back + 1])
    sentence = (
        f"component {index}: stamps step back {counted(len(back), 'time')}, by up to {largest_ms:g} ms, first at line"
        f" {line}; its rows were sorted, which moved {moved} of {len(rows)}"
    )
    numbers = {
        "component": index,
        "count": len(back),
        "largest_step_back_ms": largest_ms,
        "first_line": line,
        "moved_rows": moved,
    }
    findings.append(Finding(target, "rows-sorted", "warning", sentence, numbers))
    sorted_rows: _Rows = rows[order]
    return sorted_rows


def _offset_findings(offsets_ms: _Floats, index: int, target: str) -> Iterator[Finding]:
    told = offsets_ms[~np.isnan(offsets_ms)]
    if not len(told):
        return
    spread_ms = float(told.max() - told.min())
    if spread_ms > OFFSET_SPREAD_MS:
        middle_ms = float(np.median(told))
        off = int(np.count_nonzero(np.abs(told - middle_ms) > OFFSET_SPREAD_MS))
        sentence = (
            f"component {index}: canonical less component time is no one offset: {middle_ms:g} ms as a rule, more than"
            f" {OFFSET_SPREAD_MS:g} ms off in {counted(off, 'row')}, over a range of {spread_ms:g} ms; canonical time"
            " is believed"
        )
        numbers = {"component": index, "count": off, "median_ms": middle_ms, "spread_ms": spread_ms}
        yield Finding(target, "component-offset-varies", "warning", sentence, numbers)


def _without_overlap(parts: list[_Rows], stamps: Stamps, target: str, findings: list[Finding]) -> list[_Rows]:
    """Return the components in order of their first stamps, each without what an earlier one covers already."""
    kept: list[_Rows] = []
    for rows in sorted(parts, key=lambda rows: float(stamps.canonical_ms[rows[0]])):
        times_ms = stamps.canonical_ms[rows]
        end_ms = float(stamps.canonical_ms[kept[-1][-1]]) if kept else -np.inf
        cut = int(np.searchsorted(times_ms, end_ms, side="right"))
        if cut:
            index, earlier = _index(stamps, rows), _index(stamps, kept[-1])
            overlap_ms = min(end_ms, float(times_ms[-1])) - float(times_ms[0])
            sentence = (
                f"component {index} overlaps component {earlier} by {overlap_ms:g} ms;"
                f" {cut} of its {counted(len(rows), 'row')} were cut"
            )
            numbers = {"component": index, "count": cut, "overlap_ms": overlap_ms}
            findings.append(Finding(target, "component-overlap", "warning", sentence, numbers))
        if cut < len(rows):
            kept.append(rows[cut:])
    return kept


def _breaks(parts: list[_Rows], stamps: Stamps) -> tuple[Interval, ...]:
    """Return what lies between the components: from a sample's end to the next sample."""
    spans = [_to_ns(stamps.canonical_ms[rows[[0, -1]]]) for rows in parts]
    steps = [int(span[1] - span[0]) // max(1, len(rows) - 1) for span, rows in zip(spans, parts, strict=True)]
    breaks = []
    for (before, step_ns), (after, _) in pairwise(zip(spans, steps, strict=True)):
        stop_ns = int(after[0])
        # The camera was started anew: nothing may be bridged even where less than a sample is missing.
        start_ns = min(int(before[1]) + step_ns, stop_ns - 1)
        breaks.append(Interval(start_ns, stop_ns))
    return tuple(breaks)
