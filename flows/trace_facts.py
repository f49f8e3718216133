"""Where one window comes from, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensorloom.flows.audit.report_takes import SyncFacts
from sensorloom.flows.origins import CommitFacts

__all__ = ["ClockRange", "FrameRange", "RawFile", "RowRange", "Trace", "TracedFinding", "TracedView"]


@dataclass(frozen=True, slots=True)
class RawFile:
    """A raw file that the take was read from; `uri` is relative to the data set's folder."""

    uri: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ClockRange:
    """The window `[start_ns, stop_ns)` on one clock of the take, and how that clock was carried to the take's.

    `offset_ms` is what the map adds at the window's start.
    """

    clock: str
    start_ns: int
    stop_ns: int
    offset_ms: float
    drift_ppm: float
    residual_rms_ms: float
    num_anchors: int
    rule: str


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows `[first, stop)` of a raw stream, in the order that its reader gives them, whose stamps lie in the window."""

    stream: str
    clock: str
    first: int
    stop: int
    of: int


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Frames `[first, stop)` of a camera's file that are shown in the window, by number and by the file's own ticks."""

    camera: str
    uri: str
    rendition: str
    first: int
    stop: int
    of: int
    first_pts: int
    last_pts: int
    time_base: str


@dataclass(frozen=True, slots=True)
class TracedView:
    """The window as one view holds it: row `row` of the shards of `bucket`.

    `coverage` is the usable share by `slot/sensor`. `split_policy` is that of the commit which split the view; null
    where no ref tells of that commit any more, as is `built`. `fingerprint` is all that its vectors depend on.
    """

    view: str
    bucket: str
    row: int
    tensors_digest: str
    label: str
    split: str
    split_policy: Mapping[str, Any] | None
    split_reason: str
    coverage: Mapping[str, float]
    shares: Mapping[str, float]
    recipe: Mapping[str, Any]
    encoder: str | None
    fingerprint: Mapping[str, Any]
    texts: tuple[Mapping[str, Any], ...]
    built: CommitFacts | None


@dataclass(frozen=True, slots=True)
class TracedFinding:
    """A finding on the window's take; `stage` is `ingest`, the view that was cut, or `audit`, measured here."""

    stage: str
    target: str
    rule: str
    severity: str
    sentence: str
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known of where a window comes from.

    `resampling` is what the commit of the ingest says of it, null where no ref tells of that commit any more. `rows`
    is empty unless the raw tree was read. `syncs` are the take's clocks as its signals tell them.
    """

    window_id: str
    take_id: str
    dataset: str
    capture_id: str
    participant_id: str
    origin: str
    start_ns: int
    stop_ns: int
    start_s: float
    files: tuple[RawFile, ...]
    clocks: tuple[ClockRange, ...]
    syncs: tuple[SyncFacts, ...]
    rows: tuple[RowRange, ...]
    frames: tuple[FrameRange, ...]
    grid_samples: tuple[int, int]
    grid_rate_hz: int
    resampling: Mapping[str, Any] | None
    ingested: CommitFacts | None
    views: tuple[TracedView, ...]
    findings: tuple[TracedFinding, ...]
