"""What runs did, as plain facts for the command line, the flows and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sensorloom.align.stage import Failed
from sensorloom.flows.changes import ViewChange

__all__ = ["BuildReport", "EmbedReport", "IngestReport"]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest run did."""

    dataset: str
    takes: int
    unchanged: int
    ingested: int
    resumed: int
    failed: tuple[Failed, ...]
    absent: tuple[str, ...]
    """Takes of the store that are no longer under the raw root."""
    not_downloaded: tuple[str, ...]
    """Takes that the raw tree's metadata lists without a file of theirs; skipped."""
    pruned: bool
    """Whether those were dropped."""
    errors: Mapping[str, int]
    """Takes read now that carry a finding of severity error, by rule."""
    outdated_views: tuple[str, ...]
    """Views that were built from other takes or vectors than the store holds now."""
    raw_bytes: int
    seconds: float
    snapshot_id: str | None
    committed: bool


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What an embed run did."""

    encoder: str
    dim: int
    takes: int
    """Takes with a video or a text."""
    unchanged: int
    embedded: int
    resumed: int
    """Takes that a run before had done and not published."""
    failed: tuple[Failed, ...]
    withheld: bool
    """Whether nothing was published, because the vectors would have replaced others and those of some takes failed."""
    superseded: tuple[str, ...]
    """Takes that were ingested again while they were embedded; the next run embeds them."""
    frames: int
    """Frames encoded now."""
    lost_frames: int
    """Frames that did not decode soundly; they are masked."""
    texts: int
    """Distinct texts that the store holds vectors of."""
    new_texts: int
    seconds: float
    frames_per_s: float | None
    snapshot_id: str | None
    committed: bool


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build run did, view by view."""

    windows: Mapping[str, int]
    built: int
    unchanged: int
    seconds: float
    snapshot_id: str | None
    committed: bool
    changes: Mapping[str, ViewChange]
    """What became of each view that the store held."""
    unfilled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each view with windows the splits, of train, val and test, that it has none in and should have."""
