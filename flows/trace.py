"""Where one window comes from: raw files, clocks, frames, resampling, encoder, texts, split and findings.

Everything but the rows of raw files is read from the store; those need the raw tree, which `trace_raw` reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorloom.align.clock import ClockMap
from sensorloom.align.rules import RULES, Rule
from sensorloom.align.stage import STAGE as INGEST
from sensorloom.align.stage import load_aligned
from sensorloom.align.timeline import GRID_RATE_HZ, AlignedTake
from sensorloom.flows.audit.findings import numbers_of
from sensorloom.flows.audit.take import AuditTask, TakeAudit, audit_take
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.origins import Origins
from sensorloom.flows.stored_encoders import fingerprint_of
from sensorloom.flows.trace_facts import (
    ClockRange,
    FrameRange,
    RawFile,
    Trace,
    TracedFinding,
    TracedView,
)
from sensorloom.ingest.take import NS_PER_MS
from sensorloom.store.layout import bucket_of
from sensorloom.store.manifest import Shard, Snapshot
from sensorloom.store.repository import Repository

__all__ = ["trace_window"]

_WINDOW_ID = re.compile(r"(?P<take_id>.+)@(?P<start>-?[0-9]{1,19})\+(?P<length>[0-9]{1,19})")


def trace_window(
    repo: Repository,
    snapshot: Snapshot,
    window_id: str,
    *,
    ref: str,
    view: str = "",
    rules: Mapping[str, Rule] = RULES,
) -> Trace:
    """Gather where `window_id` comes from, in all views that hold it or in `view` alone.

    `ref` is the one whose log is read first for the commits. The take's clocks and streams are measured and judged by
    `rules`, as the audit does. Raises `ConfigError` for an id that is none, and for a
    window or view that the snapshot lacks.
    """
    rows = _find_rows(repo, snapshot, window_id, view)
    first = next(iter(rows.values()))
    take_id, start_ns, stop_ns = first["take_id"], first["start_ns"], first["stop_ns"]
    shard = repo.manifest(snapshot, "streams").get(take_id)
    if shard is None:
        raise ConfigError(
            f"take {take_id} was dropped since {', '.join(rows)} was built; run `sensorloom build`, or trace the"
            " window in an earlier snapshot (`--at`)"
        )
    take_row = repo.scan(snapshot, "takes").filter(take_id=take_id).collect().to_dicts()[0]
    origins = Origins(repo, ref)
    aligned, ingested = load_aligned(repo.open_arrays(shard)), origins.find("streams", shard)
    audit = _audit(repo, snapshot, shard, rules)
    samples = tuple(aligned.grid.index(time_ns) for time_ns in (start_ns, stop_ns))
    return Trace(
        window_id=window_id,
        take_id=take_id,
        dataset=aligned.dataset,
        capture_id=aligned.capture_id,
        participant_id=aligned.participant_id,
        origin=take_row["origin"],
        start_ns=start_ns,
        stop_ns=stop_ns,
        start_s=(start_ns - aligned.grid.start_ns) / 1e9,
        files=tuple(RawFile(one["uri"], one["num_bytes"], one["sha256"]) for one in take_row["sources"]),
        clocks=tuple(_clock_range(clock, start_ns, stop_ns) for clock in aligned.clock_maps),
        syncs=audit.syncs,
        rows=(),
        frames=tuple(_frames(aligned, start_ns, stop_ns)),
        grid_samples=(samples[0], samples[1]),
        grid_rate_hz=GRID_RATE_HZ,
        resampling=None if ingested is None else ingested.provenance.get("settings"),
        ingested=ingested,
        views=tuple(_view(repo, snapshot, name, row, origins) for name, row in rows.items()),
        findings=(
            *_findings(repo, snapshot, take_id, rows),
            *(
                TracedFinding("audit", one.target, one.rule, one.severity, one.sentence, one.numbers)
                for one in audit.findings
            ),
        ),
    )


def _audit(repo: Repository, snapshot: Snapshot, streams: Shard, rules: Mapping[str, Rule]) -> TakeAudit:
    """Measure the clocks and streams of one take; its windows are a matter of views."""
    frames = repo.manifest(snapshot, "frames").get(streams.key)
    task = AuditTask(repo.url, streams.key, streams, frames, (), tuple(rules.values()), ("streams",))
    return audit_take(task)


def _find_rows(
    repo: Repository, snapshot: Snapshot, window_id: str, view: str = ""
) -> dict[str, dict[str, Any]]:
    """Return the window's row of each view's table that has it, with its place in the shard as `row`."""
    parts = _WINDOW_ID.fullmatch(window_id)
    if parts is None:
        raise ConfigError(
            f"{window_id!r} is no window id: it reads take@start+length, both in ns, as in"
            " pamap2/101@5000000000+5000000000; the column window_id of a view's windows holds them"
        )
    take_id, start_ns = parts["take_id"], int(parts["start"])
    views = [name.partition(":")[2] for name in sorted(snapshot.tables) if name.startswith("windows:")]
    if view and view not in views:
        raise ConfigError(
            f"snapshot {snapshot.id[:12]} has no view {view!r}; it has {', '.join(views) or 'none'}"
        )
    frames = {
        name: _window_frame(repo, shard)
        for name in ([view] if view else views)
        if (shard := repo.manifest(snapshot, f"windows:{name}").get(bucket_of(take_id)))
    }
    found = {name: frame.filter(window_id=window_id).to_dicts() for name, frame in frames.items()}
    rows = {name: held[0] for name, held in found.items() if held}
    if not rows:
        raise ConfigError(_not_there(snapshot, window_id, take_id, start_ns, frames))
    return rows


def _window_frame(repo: Repository, shard: Shard) -> pl.DataFrame:
    return cast("pl.DataFrame", pl.from_arrow(repo.read_table(shard))).with_row_index("row")


def _not_there(
    snapshot: Snapshot, window_id: str, take_id: str, start_ns: int, frames: Mapping[str, pl.DataFrame]
) -> str:
    """Say what there is of the take instead: the nearest window of each view."""
    near = []
    for name, frame in frames.items():
        of_take = frame.filter(take_id=take_id)
        if len(of_take):
            place = int((of_take["start_ns"] - start_ns).abs().arg_min() or 0)
            near.append(f"{of_take['window_id'][place]} ({name})")
    told = f"the nearest are {', '.join(near)}" if near else f"and none of take {take_id}"
    return f"no view of snapshot {snapshot.id[:12]} has window {window_id}; {told}"


def _clock_range(clock: ClockMap, start_ns: int, stop_ns: int) -> ClockRange:
    back = clock.inverse()
    first = back.apply(start_ns)
    return ClockRange(
        clock=clock.source,
        start_ns=first,
        stop_ns=back.apply(stop_ns),
        offset_ms=(start_ns - first) / NS_PER_MS,
        drift_ppm=clock.drift_ppm,
        residual_rms_ms=clock.residual_rms_ms,
        num_anchors=clock.num_anchors,
        rule=clock.rule,
    )


def _frames(aligned: AlignedTake, start_ns: int, stop_ns: int) -> list[FrameRange]:
    ranges = []
    for video in aligned.videos:
        first, stop = np.searchsorted(video.times_ns, [start_ns, stop_ns]).tolist()
        if first < stop:
            ticks: NDArray[np.int64] = video.pts[first:stop]
            ranges.append(
                FrameRange(
                    camera=video.name,
                    uri=video.uri,
                    rendition=video.rendition,
                    first=first,
                    stop=stop,
                    of=len(video.times_ns),
                    first_pts=int(ticks[0]),
                    last_pts=int(ticks[-1]),
                    time_base="{}/{} s".format(*video.time_base),
                )
            )
    return ranges


def _view(
    repo: Repository, snapshot: Snapshot, view: str, row: Mapping[str, Any], origins: Origins
) -> TracedView:
    bucket = bucket_of(row["take_id"])
    tensors, windows = (
        cast("Shard", repo.manifest(snapshot, f"{kind}:{view}").get(bucket))
        for kind in ("tensors", "windows")
    )
    (root,) = repo.array_roots([tensors])
    recipe = cast("dict[str, Any]", root.attributes["view"])
    built = origins.find(f"windows:{view}", windows)
    policy = None if built is None else built.provenance.get("split")
    slots = [
        f"{position}/{kind}" for position in recipe["positions"] for kind in ("accelerometer", "gyroscope")
    ]
    shares = ("valid_share", "retimed_share", "interpolated_share")
    return TracedView(
        view=view,
        bucket=bucket,
        row=row["row"],
        tensors_digest=tensors.digest,
        label=row["label"],
        split=row["split"],
        split_policy=policy,
        split_reason=_split_reason(row, policy),
        coverage=dict(zip(slots, row["coverage"], strict=True)),
        shares={name: row[name] for name in shares},
        recipe=recipe,
        encoder=cast("str | None", root.attributes.get("encoder")),
        fingerprint=fingerprint_of(root),
        texts=tuple(row["texts"] or ()),
        built=None if built is None else replace(built, provenance={}),
    )


_SPLIT_UNITS = {
    "by-user": "participant_id",
    "leave-one-subject-out": "participant_id",
    "by-take": "take_id",
    "random-windows": "window_id",
    "official": "take_id",
}


def _split_reason(row: Mapping[str, Any], policy: Mapping[str, Any] | None) -> str:
    """Say in one sentence what put the window into its split."""
    if policy is None:
        return "no ref tells any more by which policy"
    name, unit = policy["name"], row[_SPLIT_UNITS[policy["name"]]]
    named = unit in (*policy["val_users"], *policy["test_users"])
    if name == "official":
        return f"official: the data set's own split of {unit} is {row['official_split']}"
    if name == "leave-one-subject-out" or named:
        return f"{name}: {unit} is {row['split']}" + (", as the configuration names it" if named else "")
    return f"{name}: the hash of {unit} with seed {policy['seed']} falls into {row['split']}"


def _findings(
    repo: Repository, snapshot: Snapshot, take_id: str, views: Iterable[str]
) -> tuple[TracedFinding, ...]:
    """Return what ingest and the cuts of `views` said of the take."""
    manifest = repo.manifest(snapshot, "findings")
    found = []
    for told_by in (INGEST, *views):
        shard = manifest.get(f"{told_by}.{bucket_of(take_id)}")
        rows = repo.read_table(shard).to_pylist() if shard else []
        found += [
            TracedFinding(
                told_by, row["target"], row["rule"], row["severity"], row["sentence"], numbers_of(row)
            )
            for row in rows
            if row["take_id"] == take_id
        ]
    return tuple(found)
