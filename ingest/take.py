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

from sensorloom.ingest.source import FileRef

__all__ = [
    "NS_PER_MS",
    "NS_PER_S",
    "ClockAnchors",
    "Finding",
    "Interval",
    "LabelInterval",
    "MocapStream",
    "SensorStream",
    "Severity",
    "Take",
    "TextEvent",
    "VideoStream",
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
    """A class that holds over a stretch of time; `text` is the data set's own word for it.

    `source` tells which of the data set's vocabularies the word is from: `activity`, `scenario` (Ego4D), `task` and
    `take-name` and `keystep` (Ego-Exo4D). Intervals of one source never overlap in sound data; those of several do.
    """

    start_ns: int
    stop_ns: int
    text: str
    source: str = "activity"

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

    `times_ns` int64[N] on the clock named by `clock`, as stamped, in sample order as recorded, or in that which the
    data set's own rule gives its rows; `values` float32[N, C] in `unit`, NaN where the value is missing, or masked by
    the reader for a defect of the data set. What a reader moves, leaves out or masks it tells in a `Finding`.
    `nominal_rate_hz` is what the data set claims; the measured rate is a function of `times_ns`.
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
class ClockAnchors:
    """Pairs of one instant told by two clocks: `source_ns[i]` on `source` is `target_ns[i]` on `target`.

    Both int64[K], K ≥ 1, as the data set tells them: not sorted, not thinned; alignment fits the map. `rule` names
    where they come from, in words that a report can print.
    """

    source: str
    target: str
    source_ns: NDArray[np.int64]
    target_ns: NDArray[np.int64]
    rule: str

    def __post_init__(self) -> None:
        check_array(f"{self.source}.source_ns", self.source_ns, np.int64, (None,))
        check_array(f"{self.source}.target_ns", self.target_ns, np.int64, (len(self.source_ns),))
        if len(self.source_ns) == 0:
            raise ValueError(f"clock {self.source}: a map to {self.target} needs at least one anchor")

    def __repr__(self) -> str:
        return f"ClockAnchors({self.source} → {self.target}, {len(self.source_ns)} anchors, {self.rule})"


@dataclass(frozen=True, slots=True)
class VideoStream:
    """One camera's file: when each of its frames is shown.

    `times_ns` int64[F] are presentation times on `clock`, strictly increasing, `pts` int64[F] the same in the file's
    own ticks of `time_base` (numerator, denominator) seconds, by which a decoder finds them. `name` is the data
    set's camera id, `rendition` which of its copies was read (`full`, `448`, `540ss`).
    """

    name: str
    view: Literal["ego", "exo"]
    uri: str
    rendition: str
    clock: str
    times_ns: NDArray[np.int64]
    pts: NDArray[np.int64]
    time_base: tuple[int, int]
    width_px: int
    height_px: int
    is_stereo: bool = False

    def __post_init__(self) -> None:
        check_array(f"{self.name}.times_ns", self.times_ns, np.int64, (None,))
        check_array(f"{self.name}.pts", self.pts, np.int64, (len(self.times_ns),))

    def __repr__(self) -> str:
        size = f"{self.width_px} by {self.height_px} px"
        return f"VideoStream({self.name}, {self.view}, {len(self.pts)} frames of {size}, {self.rendition})"


@dataclass(frozen=True, slots=True)
class MocapStream:
    """Body joints at the instants at which they were annotated.

    `times_ns` int64[N] on `clock`, strictly increasing; `values` float32[N, J, 3] xyz in metres in a fixed world frame,
    NaN where `present` bool[N, J] is False. `source` is `annotation` (by hand) or `automatic`.
    """

    source: Literal["annotation", "automatic"]
    clock: str
    joints: tuple[str, ...]
    times_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    present: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count, joints = len(self.times_ns), len(self.joints)
        check_array(f"mocap {self.source}.times_ns", self.times_ns, np.int64, (None,))
        check_array(f"mocap {self.source}.values", self.values, np.float32, (count, joints, 3))
        check_array(f"mocap {self.source}.present", self.present, np.bool_, (count, joints))

    def __repr__(self) -> str:
        return f"MocapStream({self.source}, {list(self.values.shape)} m)"


@dataclass(frozen=True, slots=True)
class TextEvent:
    """Something that a person wrote of a moment or a stretch of a take.

    A moment has `start_ns == stop_ns`, on `clock`. `uncertainty_ns` is how far the moment may lie from what the text
    tells of, as the annotators' guideline says. `annotator` keeps the passes of different people apart. `tags` are
    what the data set says of the text (subject, unsure, task_name …), values as short strings.
    """

    source: Literal["narration", "summary", "atomic", "commentary"]
    clock: str
    start_ns: int
    stop_ns: int
    text: str
    annotator: str
    uncertainty_ns: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = Interval(self.start_ns, self.stop_ns)  # checks the order


@dataclass(frozen=True, slots=True)
class Take:
    """One continuous recording of one participant: the unit of work and of splitting.

    `breaks` are stretches that nothing may be filtered, interpolated or windowed across; they, `labels` and the
    targets of `anchors` are on the take's own clock. `facts` are what the data set tells of participant and session
    (handedness, age), values as short strings.
    """

    take_id: str
    dataset: str
    capture_id: str
    participant_id: str
    official_split: str | None
    files: tuple[FileRef, ...]
    streams: tuple[SensorStream, ...]
    videos: tuple[VideoStream, ...] = ()
    mocap: tuple[MocapStream, ...] = ()
    events: tuple[TextEvent, ...] = ()
    anchors: tuple[ClockAnchors, ...] = ()
    labels: tuple[LabelInterval, ...] = ()
    breaks: tuple[Interval, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def with_findings(self, *findings: Finding) -> Take:
        """Return the take with `findings` added at the end."""
        return replace(self, findings=(*self.findings, *findings))

    def __repr__(self) -> str:
        counts = f"{len(self.streams)} streams, {len(self.videos)} videos, {len(self.events)} texts"
        counts += f", {len(self.labels)} labels, {len(self.findings)} findings"
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
