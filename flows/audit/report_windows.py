"""The facts of single windows in a report: why each is worth looking at, and what is drawn of it.

Every `_s` that is a place in time counts on the take's clock, as window ids do; `[start_s, stop_s)` is half-open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "MAX_PICTURES",
    "MAX_TRACE_POINTS",
    "FramePicture",
    "Skeleton",
    "TextShown",
    "Trace",
    "WindowPicture",
]

MAX_PICTURES = 3
"""At most so many windows of a take are drawn on its page, the worst first."""
MAX_TRACE_POINTS = 250
"""At most so many points of a sensor are drawn."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One sensor over a window: three axes of at most 250 points each, the first at `start_s`, `step_s` apart.

    `kind` is accelerometer (`unit` m/s²) or gyroscope (rad/s). Where two points or more fall together, a point is their
    mean. Parts `invalid` hold no measurement.
    """

    position: str
    kind: str
    unit: str
    start_s: float
    step_s: float
    values: tuple[tuple[float, ...], ...]
    invalid: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The joints in the middle of a window: a point (x, y, z) in metres each, null where it was not seen."""

    joints: tuple[str, ...]
    points: tuple[tuple[float, float, float] | None, ...]


@dataclass(frozen=True, slots=True)
class FramePicture:
    """One frame of a camera as a small JPEG; null where the raw video was not given, or does not decode."""

    camera: str
    time_s: float
    jpeg: bytes | None


@dataclass(frozen=True, slots=True)
class TextShown:
    """A text of a window; `offset_ms` is its time after the window's middle."""

    source: str
    text: str
    offset_ms: float | None


@dataclass(frozen=True, slots=True)
class WindowPicture:
    """A window worth looking at: why (`score` 0 is sound, 1 is at a rule's threshold), its numbers and its pictures.

    `numbers` carry their unit in the key. `take_start_s` is where the take begins, from which pages count the time.
    `audit.json` holds it without `traces`, `skeleton` and the JPEGs.
    """

    window_id: str
    view: str
    take_id: str
    dataset: str
    label: str
    split: str
    start_s: float
    stop_s: float
    score: float
    reasons: tuple[str, ...]
    numbers: Mapping[str, float]
    traces: tuple[Trace, ...] = ()
    skeleton: Skeleton | None = None
    frames: tuple[FramePicture, ...] = ()
    texts: tuple[TextShown, ...] = ()
    take_start_s: float = 0.0
