"""What a run puts into the next snapshot, as a pure plan against whatever the head is by then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import pyarrow as pa

from sensorloom.align.codec import finding_row
from sensorloom.align.split import SplitPolicy, assign
from sensorloom.align.stage import STAGE as INGEST
from sensorloom.align.stage import Failed
from sensorloom.align.view import View
from sensorloom.flows.encoders import EncoderShards, current_vectors
from sensorloom.flows.freshness import by_bucket
from sensorloom.flows.tables import FINDINGS, WINDOWS, merge_rows
from sensorloom.ingest.take import Finding, counted
from sensorloom.store.errors import ConflictError
from sensorloom.store.layout import bucket_of
from sensorloom.store.manifest import Manifest, Shard, Snapshot, WorkRecord, work_key
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Base, Drop, Put

__all__ = [
    "ABSENT_RULE",
    "FAILED_RULE",
    "PublishTakes",
    "PublishView",
    "read_failures",
    "read_takes",
    "view_streams",
]

T = TypeVar("T")

FAILED_RULE = "take-unreadable"
ABSENT_RULE = "take-absent"
_NAMED = 20
"""At most so many absent takes are named in a sentence; it counts them all."""


def read_takes(repo: Repository, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Return the rows of the `takes` table by take id."""
    shards = repo.manifest(snapshot, "takes").shards
    return {row["take_id"]: row for shard in shards for row in repo.read_table(shard).to_pylist()}


def read_failures(repo: Repository, snapshot: Snapshot, dataset: str) -> frozenset[str]:
    """Return the ids of the takes of `dataset` that the snapshot says could not be read.

    `dataset` itself is among them where the snapshot says that listed takes are absent.
    """
    shards = repo.manifest(snapshot, "findings").shards
    tables = [repo.read_table(shard) for shard in shards if shard.key.startswith(f"{INGEST}.")]
    rows = [row for table in tables for row in table.select(["take_id", "dataset", "rule"]).to_pylist()]
    return frozenset(
        row["take_id"]
        for row in rows
        if row["rule"] in (FAILED_RULE, ABSENT_RULE) and row["dataset"] == dataset
    )


@dataclass(frozen=True, slots=True)
class PublishTakes:
    """Put ingested takes, their labels and findings into the snapshot; record failed ones as findings.

    `planned` is what the head held of each take when the run was planned. A take that another run has changed
    since, to something else than ours, is a conflict; anything else merges. Of takes in `forgotten` the failure is
    no longer told; takes in `dropped` leave the snapshot with all that is said of them. Takes
    `not_downloaded` are listed by the metadata of `dataset` and have no file in the raw tree: one finding of the data
    set names and counts them.
    """

    repo: Repository
    records: tuple[WorkRecord, ...]
    failures: tuple[Failed, ...]
    planned: Mapping[str, str]
    dataset: str
    forgotten: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    not_downloaded: tuple[str, ...] = ()

    def __call__(self, base: Base) -> Iterator[Put | Drop]:
        """Plan against `base`. Raises `ConflictError` when another run published another version of a take."""
        yield from (Put("streams", record.shards[0]) for record in self.records)
        yield from (Drop("streams", take_id) for take_id in self.dropped)
        records_of = by_bucket(self.records, lambda record: record.target)
        failures_of = by_bucket(self.failures, lambda failure: failure.take_id)
        touched = {*records_of, *failures_of, *map(bucket_of, (*self.forgotten, *self.dropped))}
        touched |= {bucket_of(self.dataset)} if self.not_downloaded else set()
        for bucket in sorted(touched):
            records = records_of.get(bucket, [])
            self._check(base, bucket, records)
            takes, labels, events = (
                self._merge(base, table, bucket, records) for table in ("takes", "labels", "events")
            )
            findings = self._findings(base, bucket, records, failures_of.get(bucket, []))
            # What nothing is left of goes, as if it had never been there: equal content, equal snapshot.
            yield from self._put(base, "takes", bucket, takes, keep=takes.num_rows > 0)
            yield from self._put(base, "labels", bucket, labels, keep=takes.num_rows > 0)
            yield from self._put(base, "events", bucket, events, keep=events.num_rows > 0)
            keep = takes.num_rows > 0 or findings.num_rows > 0
            yield from self._put(base, "findings", f"{INGEST}.{bucket}", findings, keep=keep)

    def _merge(self, base: Base, table: str, bucket: str, records: list[WorkRecord]) -> pa.Table:
        rows = [row for record in records for row in record.rows[table]]
        gone = {*self.dropped, *(record.target for record in records)}
        return merge_rows(table, self._old(base, table, bucket), gone, rows)

    def _findings(
        self, base: Base, bucket: str, records: list[WorkRecord], failures: list[Failed]
    ) -> pa.Table:
        """Replace the findings of takes read now; of a take that failed, only what was said of earlier failures."""
        rows = [row for record in records for row in record.rows["findings"]]
        rows += [_failure_row(failure) for failure in failures]
        if self.not_downloaded and bucket == bucket_of(self.dataset):
            rows.append(_absent_row(self.dataset, self.not_downloaded))
        told_anew = {*self.forgotten, *(failure.take_id for failure in failures)}
        old = _without_failures(self._old(base, "findings", f"{INGEST}.{bucket}"), told_anew)
        gone = {*self.dropped, self.dataset, *(record.target for record in records)}
        return merge_rows("findings", old, gone, rows)

    def _put(self, base: Base, table: str, key: str, rows: pa.Table, *, keep: bool) -> Iterator[Put | Drop]:
        if keep:
            yield _put(self.repo, table, key, rows)
        elif base.manifest(table).get(key) is not None:
            yield Drop(table, key)

    def _old(self, base: Base, table: str, key: str) -> pa.Table | None:
        shard = base.manifest(table).get(key)
        return None if shard is None else self.repo.read_table(shard)

    def _check(self, base: Base, bucket: str, records: list[WorkRecord]) -> None:
        takes = self._old(base, "takes", bucket)
        rows = [] if takes is None else takes.select(["take_id", "work"]).to_pylist()
        now = {row["take_id"]: row["work"] for row in rows}
        for record in records:
            theirs = now.get(record.target)
            if theirs not in (None, record.key, self.planned.get(record.target)):
                raise ConflictError(
                    f"take {record.target} was published by another run since this one was planned, from other"
                    f" files or settings (work {record.key[:12]} here, {theirs[:12]} there)"
                )


@dataclass(frozen=True, slots=True)
class PublishView:
    """Put a view's tensors, its windows with their splits, and the findings of its cuts into the snapshot.

    `streams` are the view's takes that `records` were built from, `encoder` the vectors that they carry.
    """

    repo: Repository
    view: View
    records: Mapping[str, WorkRecord]
    policy: SplitPolicy
    streams: tuple[Shard, ...]
    encoder: EncoderShards | None = None

    def __call__(self, base: Base) -> Iterator[Put | Drop]:
        """Plan against `base`; buckets that hold no take any more are dropped.

        Raises `ConflictError` when takes of the view, or vectors of them, were published since it was built: its
        windows would be those of other streams than the snapshot holds, and a newer build might be undone.
        """
        if view_streams(base.manifest("streams"), self.view) != self.streams or self._has_new_vectors(base):
            raise ConflictError(
                f"takes of view {self.view.name}, or vectors of them, were published while it was being built; build it"
                " again, which does only what changed"
            )
        records = sorted(self.records.items())
        splits = iter(assign(self.policy, [row for _, record in records for row in record.rows["windows"]]))
        for bucket, record in records:
            rows = [{**row, "split": next(splits)} for row in record.rows["windows"]]
            work = work_key("split", 1, record.key, asdict(self.policy))
            windows = pa.Table.from_pylist(rows, schema=WINDOWS)
            yield Put(f"tensors:{self.view.name}", record.shards[0])
            yield Put(f"windows:{self.view.name}", self.repo.write_table(bucket, windows, work=work))
            findings = merge_rows("findings", None, (), record.rows["findings"])
            yield _put(self.repo, "findings", f"{self.view.name}.{bucket}", findings)
        yield from self._stale(base)

    def _has_new_vectors(self, base: Base) -> bool:
        if self.encoder is None or not self.view.cameras:
            return False
        held = base.manifest(f"vectors:{self.encoder.encoder.name}")
        now = current_vectors(self.streams, held, self.encoder.encoder.fingerprint)
        return any(now.get(shard.key) != self.encoder.vectors.get(shard.key) for shard in self.streams)

    def _stale(self, base: Base) -> Iterator[Drop]:
        for table in (f"tensors:{self.view.name}", f"windows:{self.view.name}"):
            shards = base.manifest(table).shards
            yield from (Drop(table, shard.key) for shard in shards if shard.key not in self.records)
        for shard in base.manifest("findings").shards:
            stage, _, bucket = shard.key.rpartition(".")
            if stage == self.view.name and bucket not in self.records:
                yield Drop("findings", shard.key)


def view_streams(streams: Manifest, view: View) -> tuple[Shard, ...]:
    """Return the stream shards of the takes that `view` is cut from."""
    return tuple(shard for shard in streams.shards if shard.key.partition("/")[0] in view.datasets)


def _put(repo: Repository, table: str, key: str, rows: pa.Table) -> Put:
    """Write merged rows. Their bytes depend on the rows alone, so the key of the work names the table only."""
    return Put(table, repo.write_table(key, rows, work=work_key("publish", 1, table, None)))


def _failure_row(failure: Failed) -> dict[str, Any]:
    finding = Finding(failure.take_id, FAILED_RULE, "error", failure.message)
    return finding_row(finding, INGEST, failure.take_id)


def _absent_row(dataset: str, absent: tuple[str, ...]) -> dict[str, Any]:
    names = ", ".join(take_id.partition("/")[2] for take_id in absent[:_NAMED])
    more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
    sentence = (
        f"{counted(len(absent), 'take')} listed in the metadata, no file on disk; skipped: {names}{more}"
    )
    finding = Finding(dataset, ABSENT_RULE, "note", sentence, {"takes": len(absent)})
    return finding_row(finding, INGEST, dataset)


def _without_failures(findings: pa.Table | None, take_ids: set[str]) -> pa.Table | None:
    if findings is None:
        return None
    rows = [
        row for row in findings.to_pylist() if row["rule"] != FAILED_RULE or row["take_id"] not in take_ids
    ]
    return pa.Table.from_pylist(rows, schema=FINDINGS)
