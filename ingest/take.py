"""What a reader hands on: one take at native rates, on the clocks of its devices.

Time is int64 nanoseconds, intervals are half-open `[start_ns, stop_ns)`, units are SI and stand in
the names. Arrays are checked here and never coerced, so a wrong dtype fails where it is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NS_PER_MS",
    "NS_PER_S",
    "FileRef",
    "Finding",
    "Interval",
    "LabelInterval",
    "SensorStream",
    "Severity",
    "Take",
    "TakeSource",
    "counted",
]

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open stretch of time `[start_ns, stop_ns)`."""

    start_ns: int
    stop_ns: int

    def __post_init__(self) -> None:
        if self.stop_ns < self.start_ns:
            raise ValueError(
                f"an interval must not end before it starts: [{self.start_ns}, {self.stop_ns}) ns"
            )

    @property
    def length_ns(self) -> int:
        """Length in nanoseconds."""
        return self.stop_ns - self.start_ns

    def overlaps(self, other: Interval) -> bool:
        """Tell whether the two intervals share any instant."""
        return self.start_ns < other.stop_ns and other.start_ns < self.stop_ns


@dataclass(frozen=True, slots=True)
class LabelInterval:
    """A class that holds over a stretch of time; `text` is the data set's own word for it."""

    start_ns: int
    stop_ns: int
    text: str

    @property
    def interval(self) -> Interval:
        """The stretch of time as an `Interval`."""
        return Interval(self.start_ns, self.stop_ns)


@dataclass(frozen=True, slots=True)
class Finding:
    """A drop, repair or doubt: which rule fired on what, with its numbers and one sentence.

    `target` names what it is about, from the take inwards: `take`, or `take#stream`. `numbers` carries the
    unit in each key (`longest_gap_ms`); values are finite.
    """

    target: str
    rule: str
    severity: Severity
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value in self.numbers.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"finding {self.rule} on {self.target}: {key} is {value}; numbers must be finite"
                )


def counted(count: int, noun: str) -> str:
    """Return a count with its noun as a sentence needs it, "1 gap" or "2 gaps" (plurals in -s)."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@dataclass(frozen=True, slots=True)
class SensorStream:
    """One sensor of one device at its native rate and on its own clock.

    `times_ns` int64[N] on the clock named by `clock`, in sample order as recorded (a reader never sorts or
    repairs); `values` float32[N, C] in `unit`, NaN where the value is missing. `nominal_rate_hz` is what
    the data set claims; the measured rate is a function of `times_ns`.
    """

    kind: Literal["accelerometer", "gyroscope", "heart_rate"]
    position: str
    device: str
    clock: str
    times_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    channels: tuple[str, ...]
    unit: str
    nominal_rate_hz: float

    def __post_init__(self) -> None:
        check_array(f"{self.name}.times_ns", self.times_ns, np.int64, (None,))
        check_array(f"{self.name}.values", self.values, np.float32, (len(self.times_ns), len(self.channels)))

    @property
    def name(self) -> str:
        """Name inside its take, `position/kind`."""
        return f"{self.position}/{self.kind}"

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        return (
            f"SensorStream({self.name}, [{rows}, {columns}] {self.unit}, {self.nominal_rate_hz:g} Hz nominal)"
        )


@dataclass(frozen=True, slots=True)
class FileRef:
    """A raw file, by its POSIX path relative to the raw root."""

    uri: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class TakeSource:
    """What a reader's index says of one take before any of it is read."""

    dataset: str
    take_id: str
    files: tuple[FileRef, ...]

    @property
    def num_bytes(self) -> int:
        """Raw bytes of all its files."""
        return sum(file.num_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Take:
    """One continuous recording of one participant: the unit of work and of splitting.

    `breaks` are stretches that nothing may be filtered, interpolated or windowed across. `facts` are
    what the data set tells of participant and session (handedness, age), values as short strings.
    """

    take_id: str
    dataset: str
    capture_id: str
    participant_id: str
    official_split: str | None
    files: tuple[FileRef, ...]
    streams: tuple[SensorStream, ...]
    labels: tuple[LabelInterval, ...] = ()
    breaks: tuple[Interval, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def with_findings(self, *findings: Finding) -> Take:
        """Return the take with `findings` added at the end."""
        return replace(self, findings=(*self.findings, *findings))

    def __repr__(self) -> str:
        counts = f"{len(self.streams)} streams, {len(self.labels)} labels, {len(self.findings)} findings"
        return f"Take({self.take_id}, {counts})"


def check_array(
    name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int | None, ...]
) -> None:
    """Raise `TypeError` or `ValueError` unless `array` has `dtype` and `shape` (None matches any length)."""
    if array.dtype != np.dtype(dtype):
        raise TypeError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}")
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        expected = "[" + ", ".join("any" if length is None else str(length) for length in shape) + "]"
        raise ValueError(f"{name} must have shape {expected}, got {list(array.shape)}")
