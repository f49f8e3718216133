"""The facts of single takes in a report: their clocks, their quality along time, what was found on them.

Every `_s` that is a place in time counts on the take's clock, as window ids do; `[start_s, stop_s)` is half-open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sensorloom.flows.audit.report_windows import WindowPicture
from sensorloom.ingest.take import Severity

__all__ = [
    "MAX_POINTS",
    "ClockFacts",
    "PairFacts",
    "PairPoint",
    "SegmentFacts",
    "ShiftFacts",
    "StreamFacts",
    "Strip",
    "SyncFacts",
    "SyncVerdict",
    "TakeDetail",
    "TakeFacts",
    "TakeFinding",
    "TakeSync",
    "ViewWindows",
    "within_one",
]

MAX_POINTS = 500
"""At most so many takes of a pair of streams stand in its plot, the worst first."""

SyncVerdict = Literal["aligned", "shifted", "drifting", "unknown"]
TakeSync = Literal["aligned", "shifted", "drifting", "unknown", "none"]


@dataclass(frozen=True, slots=True)
class TakeFacts:
    """One take in a line: its length, its findings by severity, its windows in all views, its clocks.

    `errors`, `warnings` and `notes` count findings. `worst_rule` is the most severe, then the most frequent; "" where
    nothing was found. `sync` is what is known of its clocks: drifting or shifted where a pair of its streams is; else
    aligned or, where none of them could be told, unknown by the pairs between devices; "none" without such a pair.
    `page` is where its page lies from the report's folder, null without one.
    """

    take_id: str
    dataset: str
    seconds: float
    errors: int
    warnings: int
    notes: int
    windows: int
    worst_rule: str
    sync: TakeSync
    page: str | None = None


@dataclass(frozen=True, slots=True)
class PairPoint:
    """How far the second stream of a pair is off the first in one take: a point of the pair's plot.

    `second` is that stream's own name, as `cam03`. `offset_ms` > 0: it is stamped late. Half widths of the 95 %
    interval are `_ci_`; a missing number is one that could not be told.
    """

    take_id: str
    offset_ms: float | None
    offset_ci_ms: float | None
    drift_ppm: float | None
    drift_ci_ppm: float | None
    verdict: SyncVerdict
    second: str = ""


@dataclass(frozen=True, slots=True)
class ShiftFacts:
    """How far the shifted takes of a pair of streams are off: so many `early` and `late`, by `least_ms` to `most_ms`.

    The three sizes are of the offsets without their sign.
    """

    early: int
    late: int
    least_ms: float
    median_ms: float
    most_ms: float


@dataclass(frozen=True, slots=True)
class PairFacts:
    """One pair of streams over the takes of a data set, compared by one method.

    `first` and `second` name the streams by their role (an exo camera without its number). `takes` is the sum of the
    four verdicts' counts, one for each comparison where a take has the role twice. `median_offset_ms` and `spread_ms`
    (half of the middle 68 %) are over the offsets of the takes whose verdict is not unknown, null without any, the
    spread with fewer than three. `shift` and `most_drift_ppm` are over all takes that are shifted and that drift, null
    without any. `points` are at most 500: what could be told and is furthest off first, then what could not be told.
    """

    dataset: str
    method: str
    first: str
    second: str
    takes: int
    aligned: int
    shifted: int
    drifting: int
    unknown: int
    median_offset_ms: float | None
    spread_ms: float | None
    points: tuple[PairPoint, ...]
    shift: ShiftFacts | None = None
    most_drift_ppm: float | None = None

    @property
    def is_within(self) -> bool:
        """Tell whether both streams are sensors of one device, as which they are named."""
        return within_one(self.first, self.second)


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """How stamps of one clock were carried to the take's: `rule` says by what.

    `offset_ms` is what was added to the stamps, `drift_ppm` how fast that grows; `residual_ms` is the root mean square
    of what the `anchors` are off it.
    """

    source: str
    target: str
    rule: str
    offset_ms: float
    drift_ppm: float
    residual_ms: float
    anchors: int


@dataclass(frozen=True, slots=True)
class Strip:
    """The quality of one stream along the take: runs (code, start_s, stop_s) that follow one another.

    Codes are `valid`, `interpolated`, `retimed`, `invalid` of sensors and mocap (`valid` where most joints were seen),
    of cameras `valid`, `black`, `frozen`, `missing` (a frame that does not decode, or none where one is due).
    """

    name: str
    start_s: float
    runs: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """The lag of the second stream in one piece of the take, around `time_s`; `strength` is from 0 to 1."""

    time_s: float
    lag_ms: float
    sigma_ms: float
    strength: float


@dataclass(frozen=True, slots=True)
class SyncFacts:
    """What the signals alone tell of the clocks of two streams; `offset_ms` > 0: the second is stamped late.

    `offset_ms` holds at the middle of what both cover, `drift_ppm` > 0 grows it; `_ci_` are half widths of the 95 %
    interval. `jump_ms` is the largest step of the lag, where one is sure. `reason` says why nothing could be told.
    """

    first: str
    second: str
    method: str
    verdict: SyncVerdict
    offset_ms: float | None
    offset_ci_ms: float | None
    drift_ppm: float | None
    drift_ci_ppm: float | None
    jump_ms: float | None
    residual_ms: float | None
    reason: str
    segments: tuple[SegmentFacts, ...] = ()

    @property
    def is_within(self) -> bool:
        """Tell whether both streams are sensors of one device, as which they are named."""
        return within_one(self.first, self.second)


def within_one(first: str, second: str) -> bool:
    """Tell whether two streams (`head/gyroscope`, `aria01`, `mocap/annotation/head`) are sensors of one device.

    Such are stamped by one clock: that they agree says nothing of any other.
    """
    device, _, sensor = first.rpartition("/")
    return bool(device and sensor) and device == second.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One stream of a take and how long it is usable."""

    kind: str
    position: str
    usable_s: float


@dataclass(frozen=True, slots=True)
class ViewWindows:
    """How many windows of a take one view has, in one split."""

    view: str
    split: str
    windows: int


@dataclass(frozen=True, slots=True)
class TakeFinding:
    """One finding of a take, from `stage`; `view` is null for what concerns the take itself."""

    rule: str
    severity: Severity
    stage: str
    view: str | None
    target: str
    sentence: str
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TakeDetail:
    """All that the page of one take tells. `findings` are the most severe first."""

    facts: TakeFacts
    participant_id: str
    capture_id: str
    official_split: str | None
    origin: str
    start_s: float
    streams: tuple[StreamFacts, ...]
    clocks: tuple[ClockFacts, ...]
    strips: tuple[Strip, ...]
    syncs: tuple[SyncFacts, ...]
    findings: tuple[TakeFinding, ...]
    views: tuple[ViewWindows, ...]
    pictures: tuple[WindowPicture, ...]
