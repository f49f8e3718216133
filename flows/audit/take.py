"""What the audit finds out about one take from its stored streams alone: a pure function of shards and rules.

Nothing is decoded: of videos there is what the embedding pass kept of each frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sensorloom.align.rules import Rule
from sensorloom.align.stream_quality import find_streams
from sensorloom.align.sync.estimate import SyncEstimate
from sensorloom.align.sync.judgement import find_sync, verdict
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.sync.pairs import estimate_take
from sensorloom.align.timeline import AlignedTake
from sensorloom.flows.audit.load import load_take
from sensorloom.flows.audit.report_takes import SegmentFacts, SyncFacts
from sensorloom.flows.audit.windows import WindowsOf, WorstWindow, look_at_windows
from sensorloom.ingest.take import Finding
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository

__all__ = ["PARTS", "AuditTask", "Part", "TakeAudit", "audit_parts", "audit_take", "joined"]

Part = Literal["streams", "windows"]
PARTS: tuple[Part, ...] = ("streams", "windows")
"""What is found of a take by its streams alone, their clocks with them, and of the windows that views cut: apart, as
views come and go while clocks, which take the longest to measure, stay."""

_DIGITS = 4
"""Of milliseconds and parts per million: more would be noise."""


@dataclass(frozen=True, slots=True)
class AuditTask:
    """What a worker needs to audit `parts` of one take: small, picklable, no data.

    `frames` are its frames' facts; `clipped` what ingest said of sensors at their limits, for windows to be held
    against.
    """

    store_url: str
    take_id: str
    streams: Shard
    frames: Shard | None
    windows: tuple[WindowsOf, ...]
    rules: tuple[Rule, ...]
    parts: tuple[Part, ...] = PARTS
    clipped: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeAudit:
    """What was found of one take, or of a part of it.

    `roles` are names that pairs of streams carry over many takes, by the streams' own names where these differ. `worst`
    are the windows to look at first.
    """

    take_id: str
    findings: tuple[Finding, ...]
    syncs: tuple[SyncFacts, ...]
    roles: Mapping[str, str]
    worst: tuple[WorstWindow, ...]


def audit_parts(task: AuditTask) -> dict[Part, TakeAudit]:
    """Measure the parts of a take that are asked for and judge them by the rules."""
    aligned, cameras = load_take(Repository.open(task.store_url), task.streams, task.frames)
    look = {"streams": _look_at_streams, "windows": _look_at_windows}
    return {part: look[part](task, aligned, cameras) for part in task.parts}


def audit_take(task: AuditTask) -> TakeAudit:
    """Measure the clocks, the streams and the windows of a take, and judge them by the rules."""
    return joined(audit_parts(task).values())


def joined(parts: Iterable[TakeAudit]) -> TakeAudit:
    """Return what was found of parts of one take as one; raises `ValueError` for parts of several takes, or none."""
    told = tuple(parts)
    names = sorted({part.take_id for part in told})
    if len(names) != 1:
        raise ValueError(f"parts of one take make an audit, not those of {', '.join(names) or 'none'}")
    return TakeAudit(
        names[0],
        tuple(finding for part in told for finding in part.findings),
        tuple(sync for part in told for sync in part.syncs),
        {name: role for part in told for name, role in part.roles.items()},
        tuple(window for part in told for window in part.worst),
    )


def _look_at_streams(task: AuditTask, aligned: AlignedTake, cameras: Sequence[CameraMotion]) -> TakeAudit:
    rules = {rule.id: rule for rule in task.rules}
    estimates = estimate_take(aligned, cameras)
    syncs = tuple(_facts(estimate, rules) for estimate in estimates)
    findings = (*find_sync(task.take_id, estimates, rules), *find_streams(aligned, rules))
    return TakeAudit(task.take_id, findings, syncs, _roles(syncs, cameras), ())


def _look_at_windows(task: AuditTask, aligned: AlignedTake, cameras: Sequence[CameraMotion]) -> TakeAudit:
    aligned = replace(aligned, findings=task.clipped)
    windows = look_at_windows(aligned, cameras, task.windows, {rule.id: rule for rule in task.rules})
    return TakeAudit(task.take_id, windows.findings, (), {}, windows.worst)


def _facts(estimate: SyncEstimate, rules: Mapping[str, Rule]) -> SyncFacts:
    return SyncFacts(
        first=estimate.first,
        second=estimate.second,
        method=estimate.method,
        verdict=verdict(estimate, rules),
        offset_ms=_rounded(estimate.offset_ms),
        offset_ci_ms=_rounded(estimate.offset_ci_ms),
        drift_ppm=_rounded(estimate.drift_ppm),
        drift_ci_ppm=_rounded(estimate.drift_ci_ppm),
        jump_ms=_rounded(estimate.jump_ms),
        residual_ms=_rounded(estimate.residual_ms),
        reason=estimate.reason,
        segments=tuple(
            SegmentFacts(
                lag.time_s, *(round(one, _DIGITS) for one in (lag.lag_ms, lag.sigma_ms, lag.strength))
            )
            for lag in estimate.segments
        ),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _roles(syncs: Sequence[SyncFacts], cameras: Sequence[CameraMotion]) -> dict[str, str]:
    """Return what a camera is, by its name in the pairs, which counts cameras differently in each take."""
    roles = {}
    for name in {name for sync in syncs for name in (sync.first, sync.second)}:
        for camera in sorted(cameras, key=lambda camera: -len(camera.name)):
            if camera.name in name:
                roles[name] = name.replace(camera.name, f"{camera.view} camera")
                break
    return dict(sorted(roles.items()))
