"""The Aria's two IMUs of an Ego-Exo4D take, from its VRS file, and how their clock becomes take time.

`imu-right` (nominally 1000 Hz) is the one that the papers use, as `head`; `imu-left` (800 Hz, other axes) is
`head-left`; never averaged, never swapped (formats.md §4.6). Values are those after the factory's calibration where the
file has one. All stamps are nanoseconds of the device's clock, the same that `timesync.csv` gives of every frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.checks import check_stream
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.take import NS_PER_S, ClockAnchors, Finding, SensorStream
from sensorloom.ingest.vrs import VrsFile, open_vrs

__all__ = ["POSITIONS", "Imus", "assumed_anchors", "coverage_findings", "device_clock", "read_imus"]

POSITIONS = ("head", "head-left")
_LABELS = {"head": ("imu-right", 1000.0), "head-left": ("imu-left", 800.0)}
# A VRS is trimmed to whole records near the take's ends.
_SPAN_TOLERANCE_S = 0.1
# Samples 1 s or more from all others, of which these are at most a hundredth, have wild stamps.
_APART_NS = NS_PER_S
_STRAY_SHARE = 0.01
_SENSORS: tuple[tuple[Literal["accelerometer", "gyroscope"], slice, str], ...] = (
    ("accelerometer", slice(0, 3), "m/s²"),
    ("gyroscope", slice(3, 6), "rad/s"),
)


@dataclass(frozen=True, slots=True)
class Imus:
    """What was read. `is_calibrated` is None where there are no streams."""

    streams: tuple[SensorStream, ...]
    is_calibrated: bool | None
    findings: tuple[Finding, ...]

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Device time of the first and the last sound sample of the position that is read first."""
        return next((_sound_span(stream.times_ns) for stream in self.streams if len(stream.times_ns)), None)


@dataclass(frozen=True, slots=True)
class _Place:
    """A VRS file: what it is called in messages, whose it is."""

    uri: str
    aria: str
    take_id: str


def device_clock(aria: str) -> str:
    """Return the name of the clock of an Aria's device time."""
    return f"{aria}/device"


def read_imus(root: Path, uri: str, aria: str, take_id: str) -> Imus:
    """Read accelerometer and gyroscope of both IMUs; what cannot be read is an error finding, never an exception."""
    place = _Place(uri, aria, take_id)
    try:
        vrs = open_vrs(root / uri, uri)
    except RawFileError as error:
        finding = Finding(f"{take_id}#head", "unreadable-file", "error", str(error))
        return Imus((), None, (finding,))
    streams: list[SensorStream] = []
    findings = list(_cut_findings(vrs, place))
    calibrated: list[bool] = []
    for position in POSITIONS:
        read, is_calibrated, doubts = _read_position(vrs, position, place)
        streams += read
        findings += doubts
        calibrated += [is_calibrated] * bool(read)
    return Imus(tuple(streams), all(calibrated) if calibrated else None, tuple(findings))


def _read_position(
    vrs: VrsFile, position: str, place: _Place
) -> tuple[list[SensorStream], bool, list[Finding]]:
    """Read one IMU, calibrated where the file says how; raw, with a finding, where it does not."""
    label, usual_hz = _LABELS[position]
    target = f"{place.take_id}#{position}"
    findings: list[Finding] = []
    try:
        times_ns, raw, calibrated, why_raw = _read_label(vrs, label)
    except RawFileError as error:
        return [], False, [Finding(target, "unreadable-file", "error", str(error))]
    if why_raw is not None:
        sentence = f"raw values are read, without the factory's calibration: {why_raw}"
        findings.append(Finding(target, "imu-uncalibrated", "warning", sentence))
    if not len(times_ns):
        findings.append(Finding(target, "imu-empty", "error", f"{place.uri}: {label} has no record"))
        return [], False, findings
    claimed_hz = next(imu.nominal_rate_hz for imu in vrs.imus if imu.label == label) or usual_hz
    clock = device_clock(place.aria)
    streams: list[SensorStream] = []
    for kind, columns, unit in _SENSORS:
        measured, values = (np.ascontiguousarray(part[:, columns]) for part in (raw, calibrated))
        of_raw = SensorStream(
            kind, position, place.aria, clock, times_ns, measured, ("x", "y", "z"), unit, claimed_hz
        )
        # The calibration would make another constant of zeros.
        streams.append(replace(of_raw, values=values) if _measures(measured) else of_raw)
        findings += _limit_findings(of_raw, place.take_id) if why_raw is None else ()
    return streams, why_raw is None, findings


def _read_label(
    vrs: VrsFile, label: str
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], RawFileError | None]:
    """Return times, values as measured and calibrated, and why the latter are raw where they are."""
    try:
        return (*vrs.read_raw_and_calibrated(label), None)
    except RawFileError as error:
        times_ns, raw = vrs.read_imu(label)
        return times_ns, raw, raw, error


def _measures(raw: NDArray[np.float32]) -> bool:
    """Tell whether any value is there that is not zero; NaN compares false."""
    return bool(((raw < 0) | (raw > 0)).any())


def _limit_findings(raw: SensorStream, take_id: str) -> list[Finding]:
    """Tell of values at the sensor's limit, which repeat only as measured: the calibration mixes axes."""
    checked = check_stream(raw, f"{take_id}#{raw.name}")
    return [finding for finding in checked if finding.rule == "saturation"]


def _sound_span(times_ns: NDArray[np.int64]) -> tuple[int, int]:
    """Return the first and the last of stamps int64[N], N ≥ 1, but for few that lie seconds from the others."""
    in_order = np.sort(times_ns)
    edges = np.flatnonzero(np.diff(in_order.astype(np.float64)) > _APART_NS) + 1
    bounds = [0, *edges.tolist(), len(in_order)]
    least = len(in_order) * _STRAY_SHARE
    held = [(start, stop) for start, stop in pairwise(bounds) if stop - start > least] or [(0, len(in_order))]
    return int(in_order[held[0][0]]), int(in_order[held[-1][1] - 1])


def _cut_findings(vrs: VrsFile, place: _Place) -> Iterator[Finding]:
    """Tell of a file that is cut: other readers silently give fewer records (formats.md §4.6)."""
    if vrs.is_whole:
        return
    index = "" if vrs.has_index else "its index is missing or broken; "
    sentence = (
        f"{place.uri} is cut or damaged: {index}{vrs.num_lost} records that it names are not there,"
        f" {vrs.truncated_bytes} bytes at its end are no whole record; what is left is read"
    )
    numbers = {"lost_records": vrs.num_lost, "truncated_bytes": vrs.truncated_bytes}
    yield Finding(f"{place.take_id}#head", "vrs-cut", "warning", sentence, numbers)


def assumed_anchors(first_ns: int, aria: str, why: str, take_id: str) -> tuple[ClockAnchors, Finding]:
    """Return the guess that the take begins with the first IMU sample, at `first_ns`, as published code does."""
    rule = "assumed: the first IMU sample is frame 0"
    sentence = f"{why}; the first IMU sample is taken to be frame 0, and may be off by seconds"
    finding = Finding(f"{take_id}#head", "clock-assumed", "error", sentence)
    first, zero = np.array([first_ns], np.int64), np.zeros(1, np.int64)
    return ClockAnchors(device_clock(aria), "take", first, zero, rule), finding


def coverage_findings(span_ns: tuple[int, int], take_ns: tuple[int, int], take_id: str) -> Iterator[Finding]:
    """Tell how much of the take has no IMU, both in device time (Ego4d issue 342: 21 s of 111)."""
    take_s = (take_ns[1] - take_ns[0]) / NS_PER_S
    at_start_s = min(take_s, max(0, span_ns[0] - take_ns[0]) / NS_PER_S)
    at_end_s = min(take_s, max(0, take_ns[1] - span_ns[1]) / NS_PER_S)
    if max(at_start_s, at_end_s) > _SPAN_TOLERANCE_S:
        sentence = (
            f"the IMU starts {at_start_s:.2f} s after the take of {take_s:.2f} s does and stops {at_end_s:.2f} s"
            " before its end; there it is missing"
        )
        numbers = {"missing_at_start_s": at_start_s, "missing_at_end_s": at_end_s, "take_s": take_s}
        yield Finding(f"{take_id}#head", "imu-shorter-than-take", "warning", sentence, numbers)
