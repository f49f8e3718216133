"""The facts of one audit, as plain records, and the JSON they are written as.

`audit.json` is `Report`, field by field: records are objects under the field names below, tuples are arrays, a
missing value is null, and every number carries its unit in its name. Rows come in a fixed order and nothing depends
on the clock, so one snapshot gives the same bytes again. `schema_version` rises by one with each change that could
break a reader; fields may be added without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sensorloom.flows.audit.report_takes import PairFacts, TakeFacts
from sensorloom.flows.audit.report_vectors import AgreementFacts, ChanceFacts, EncoderFacts, HealthFacts
from sensorloom.flows.audit.report_windows import WindowPicture
from sensorloom.ingest.take import Severity

__all__ = [
    "IMU_KINDS",
    "LEVELS",
    "NUM_BINS",
    "NUM_EXAMPLES",
    "SCHEMA_VERSION",
    "SEVERITIES",
    "DatasetFacts",
    "Example",
    "FunnelStep",
    "LeakFacts",
    "Level",
    "Reason",
    "Recipe",
    "Report",
    "RuleFacts",
    "SensorHours",
    "Shares",
    "SplitFacts",
    "SplitLabel",
    "Verdict",
    "ViewErrors",
    "ViewFacts",
    "to_json",
]

SCHEMA_VERSION = 2
IMU_KINDS = ("accelerometer", "gyroscope")
NUM_EXAMPLES = 20
"""At most so many examples of a rule go into a report."""
NUM_BINS = 20
"""Bins of a histogram of shares: bin i counts the shares in [i / 20, (i + 1) / 20), the last one 1.0 too."""

Level = Literal["ok", "care", "no"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
LEVELS: tuple[Level, ...] = ("ok", "care", "no")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is: `level` is what this reason alone would make it."""

    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to "can I train on this?": `ok`, with `care`, or `no`, as bad as its worst reason."""

    level: Level
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class SensorHours:
    """Usable hours of one kind of sensor at one position.

    `open_hours` is the time of the takes that have it, for accelerometer and gyroscope without the takes' breaks.
    """

    kind: str
    position: str
    takes: int
    usable_hours: float
    open_hours: float


@dataclass(frozen=True, slots=True)
class ViewErrors:
    """How many takes of one data set carry an error in a sensor that `view` cuts from `positions`."""

    view: str
    positions: tuple[str, ...]
    takes: int


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """One data set: how many takes it has, how long they are, and the verdict.

    `hours` is the length of the takes' timelines; `takes_generated` counts those that were generated, not recorded.
    `takes_unreadable` could not be read as they are now. Of those, `takes_outdated` are among `takes` all the same,
    in an earlier version that was read; the others are not.
    `takes_with_errors` are those among `takes` with a finding of severity error, and `error_rules` name its rules;
    `errors_in_views` tells for each view that uses the data set how many of them concern it.
    """

    dataset: str
    takes: int
    takes_generated: int
    takes_unreadable: int
    takes_outdated: int
    takes_with_errors: int
    error_rules: tuple[str, ...]
    errors_in_views: tuple[ViewErrors, ...]
    participants: int
    captures: int
    hours: float
    sensors: tuple[SensorHours, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Example:
    """One finding in full; `numbers` carry their unit in the key."""

    target: str
    take_id: str
    sentence: str
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """All findings of one rule in one data set, from one stage; `view` is null for what concerns the takes themselves.

    `stage` is ingest, build, or audit for what the audit found itself; of that, `meaning`, `advice`, `source` and the
    `threshold` in `unit` that held are those of the table of rules (`align/rules.py`, changed by `[audit.rules]`).
    `examples` are at most 20, one of each take before a second of any.
    """

    rule: str
    severity: Severity
    stage: str
    view: str | None
    dataset: str
    findings: int
    takes: int
    examples: tuple[Example, ...]
    meaning: str = ""
    advice: str = ""
    source: str = ""
    threshold: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a view cuts: windows `length_s` long from these positions, at this rate.

    `anchor` says where they begin: `tiles` every `stride_s`, `texts` at the moments that `texts` tell of, `mocap` every
    `stride_s` of annotated motion. `cameras` and `mocap` (`none` where it is not asked for) are what else they hold.
    `imu_type` and `layout` say how the tensors hold the IMU, `imu_worst_error` by sensor and unit how far that is off
    at most; it is empty where the build did not measure it.
    """

    positions: tuple[str, ...]
    length_s: float
    stride_s: float
    rate_hz: int
    min_coverage: float
    anchor: str = "tiles"
    cameras: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    text_rule: str = "own"
    mocap: str = "none"
    has_classes: bool = True
    imu_type: str = "float32"
    layout: str = "plain"
    imu_worst_error: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """Seconds of timeline that one reason took out of a view, and in how many takes."""

    reason: str
    takes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Shares:
    """How the windows of a view spread over one share: `counts` of `NUM_BINS` equal bins from 0 to 1."""

    share: Literal["valid", "retimed", "interpolated", "least_covered_sensor"]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """One split of a view."""

    split: str
    windows: int
    takes: int
    participants: int


@dataclass(frozen=True, slots=True)
class SplitLabel:
    """Windows of one label in one split; pairs without any are left out."""

    label: str
    split: str
    windows: int


@dataclass(frozen=True, slots=True)
class LeakFacts:
    """What two splits of a view share and must not; `count` of participants, captures or pairs of windows.

    `kind` is participant, capture, overlap (of raw time), signal, vector (nearly the same), or text (the same words).
    """

    kind: str
    severity: Severity
    first: str
    second: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """One view: its recipe, its windows, what became of every recorded second, its splits and their leaks.

    `recorded_s` is the timeline of all takes of its data sets. It is `kept_s` (in at least one window) plus the
    seconds of `dropped`, whose last step is what no other reason accounts for: `unlabelled`, `between-anchors` where
    windows begin at texts or annotated motion, `uncovered` where they do not ask for a label. `outdated` tells that
    takes were ingested, or dropped, since the view was built.
    """

    view: str
    datasets: tuple[str, ...]
    recipe: Recipe
    windows: int
    recorded_s: float
    kept_s: float
    dropped: tuple[FunnelStep, ...]
    shares: tuple[Shares, ...]
    retimed_mean: float
    splits: tuple[SplitFacts, ...]
    labels: tuple[SplitLabel, ...]
    leaks: tuple[LeakFacts, ...]
    outdated: bool = False
    encoder: EncoderFacts | None = None
    health: tuple[HealthFacts, ...] = ()
    agreement: tuple[AgreementFacts, ...] = ()
    chance: tuple[ChanceFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One audit of one snapshot.

    `takes` are in the order of their ids, `worst` the windows to look at first: at most 12 of each data set, the worst
    first.
    """

    snapshot_id: str
    datasets: tuple[DatasetFacts, ...]
    rules: tuple[RuleFacts, ...]
    views: tuple[ViewFacts, ...]
    takes: tuple[TakeFacts, ...] = ()
    pairs: tuple[PairFacts, ...] = ()
    worst: tuple[WindowPicture, ...] = ()
    schema_version: int = SCHEMA_VERSION


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as the JSON value that `audit.json` holds: all of it but the drawings of the worst windows."""
    facts = asdict(report)
    for window in facts["worst"]:
        del window["traces"], window["skeleton"]
        for frame in window["frames"]:
            del frame["jpeg"]
    return facts
